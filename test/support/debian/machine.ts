import { type ChildProcess, type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { networkEnvironment } from './host.ts'
import { cacheFolder, copyOf, emptyDebian } from './image.ts'

const execute = promisify(execFile)
const bootScript = fileURLToPath(new URL('boot.sh', import.meta.url))

export interface RunOptions {
  /** Typed into its terminal, a line for each question; without it there is none. */
  typed?: readonly string[] | undefined
  env?: Record<string, string>
}

/** What commands printed, how they ended, and at which of their lines they failed. */
export interface RunResult {
  code: number
  output: string
  failedAt: number | undefined
}

/** A Debian of its own, booted by systemd: own processes, network and files; only the kernel is the host's. */
export interface DebianMachine {
  /** Where its files are, seen from outside. */
  root: string
  /** Commands of root's shell; the working folder stays for the next ones. They stop at the first that fails. */
  run(script: string, options?: RunOptions): Promise<RunResult>
  /** As `run`, and what it printed. @throws Error where it fails */
  output(script: string, options?: RunOptions): Promise<string>
  close(): Promise<void>
}

/** Boots an empty Debian. Needs root, debootstrap and slirp4netns. */
export async function bootDebian(suite: string): Promise<DebianMachine> {
  if (process.getuid?.() !== 0) throw new Error('Only root can boot a Debian in a folder')
  const image = await emptyDebian(suite)
  for (const name of ['apt/partial', 'npm', 'pip']) await mkdir(join(cacheFolder, name), { recursive: true })
  await removeLeftovers()
  const root = await mkdtemp(join(cacheFolder, `machine-${process.pid}-`))
  await copyOf(image, root)
  for (const name of ['.npm', '.cache/pip']) await mkdir(join(root, 'root', name), { recursive: true })
  await writeFile(join(root, 'etc/resolv.conf'), 'nameserver 10.0.2.3\n')

  const group = await controlGroup()
  const namespaces = ['mount', 'pid', 'net', 'ipc', 'uts', 'cgroup'].map((name) => `--${name}`)
  const inGroup = group ? `echo $$ > ${group}/cgroup.procs && ` : ''
  const start = `${inGroup}exec unshare ${namespaces.join(' ')} --fork --kill-child sh "$0" "$@"`
  const child = spawn('sh', ['-c', start, bootScript, root, cacheFolder], { stdio: 'ignore' })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const init = await childOf(child)
  const network = spawn('slirp4netns', ['--configure', '--mtu=65520', String(init), 'tap0'], {
    stdio: 'ignore',
  })
  const run = (script: string, options: RunOptions = {}) => runShell({ init, root }, script, options)

  const machine: DebianMachine = {
    root,
    run,
    async output(script, options) {
      const { code, output } = await run(script, options)
      if (code !== 0) throw new Error(`${script}\nended with ${code}:\n${output}`)
      return output
    },
    async close() {
      process.off('exit', killWithUs)
      network.kill('SIGKILL')
      const gone = once(child, 'exit')
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await gone
      await rm(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
      if (group) await removeGroups(group)
    },
  }
  await untilBooted(machine, child)
  return machine
}

/** The folders of machines whose test was killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    const pid = /^machine-(\d+)-/.exec(name)?.[1]
    const alive = pid === undefined || (await stat(`/proc/${pid}`).catch(() => undefined))
    if (!alive) await rm(join(cacheFolder, name), { recursive: true, force: true })
  }
}

/** A control group for its systemd, which would take over ours. Undefined where the host has none of version 2. */
async function controlGroup(): Promise<string | undefined> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const at = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1]
  const own = /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1]
  if (!at || own === undefined) return undefined
  const group = join(at, own, `postern-test-${process.pid}-${Date.now()}`)
  return mkdir(group).then(
    () => group,
    () => undefined,
  )
}

/** A group can go once its last process has. */
async function removeGroups(group: string): Promise<void> {
  const { stdout } = await execute('find', [group, '-depth', '-type', 'd'])
  for (const folder of stdout.trim().split('\n')) {
    for (let tries = 0; tries < 50; tries++) {
      const gone = await rmdir(folder).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== 'EBUSY',
      )
      if (gone) break
      await sleep(100)
    }
  }
}

/** Process 1 of the machine, by the number that it has outside. */
async function childOf(child: ChildProcess): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const file = `/proc/${child.pid}/task/${child.pid}/children`
    const pid = Number((await readFile(file, 'utf8').catch(() => '')).trim())
    if (pid > 0) return pid
    if (child.exitCode !== null) break
    await sleep(50)
  }
  throw new Error('This machine lets nobody make namespaces')
}

async function untilBooted(machine: DebianMachine, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 300 && child.exitCode === null; tries++) {
    const { output } = await machine.run('systemctl is-system-running || true').catch(() => ({ output: '' }))
    if (/^(running|degraded)$/m.test(output)) return
    await sleep(100)
  }
  const { output } = await machine.run('journalctl --no-pager -b | tail -50')
  await machine.close()
  throw new Error(`Debian did not boot:\n${output}`)
}

async function runShell(
  { init, root }: { init: number; root: string },
  script: string,
  { typed, env }: RunOptions,
): Promise<RunResult> {
  const notes = join(root, 'var/lib/walk')
  await mkdir(notes, { recursive: true })
  await rm(join(notes, 'line'), { force: true })
  // In one line with the script's first, so that bash counts as the script does.
  const around = [
    'cd "$(cat /var/lib/walk/folder 2>/dev/null || echo /root)"',
    "trap 'pwd > /var/lib/walk/folder' EXIT",
    "trap 'echo $LINENO > /var/lib/walk/line' ERR",
  ]
  await writeFile(join(notes, 'script'), `${around.join('; ')}; ${script}`)
  const bash = 'bash -E -e -u -o pipefail /var/lib/walk/script'
  const inTerminal = ['script', '--quiet', '--return', '--command', bash, '/dev/null']
  const variables = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    // Node.js trusts what the machine trusts.
    NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt',
    DEBIAN_FRONTEND: 'noninteractive',
    ...networkEnvironment(),
    ...env,
  }
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  const command = typed === undefined ? bash.split(' ') : inTerminal
  const child = spawn('nsenter', ['--target', String(init), '--all', 'env', '-i', ...settings, ...command])
  if (typed === undefined) child.stdin.end()
  else answerQuestions(child, typed)
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const line = await readFile(join(notes, 'line'), 'utf8').catch(() => '')
  return { code: code as number, output: out + err, failedAt: line ? Number(line) : undefined }
}

/** Types as a person does: a line when it is asked for, no sooner. */
function answerQuestions(child: ChildProcessWithoutNullStreams, lines: readonly string[]): void {
  const left = [...lines]
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-200)
    const line = /: $/.test(said) ? left.shift() : undefined
    if (line === undefined) return
    said = ''
    child.stdin.write(`${line}\r`)
  })
}
