import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where Debian's packages come from. */
export interface Mirrors {
  main: string
  security: string | undefined
}

/** Those that the host's own apt uses. @throws Error where it has none */
export async function hostMirrors(): Promise<Mirrors> {
  const folder = '/etc/apt/sources.list.d'
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name))
  const files = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  const lines = texts.join('\n').split('\n')
  const found = lines.flatMap((line) =>
    /^(deb|URIs:)\s/.test(line) ? (line.match(/\b[a-z+]+:\/\/\S+/g) ?? []) : [],
  )
  const main = found.find((uri) => /\/debian\/?$/.test(uri))
  if (!main) throw new Error('The apt of this machine names no mirror of Debian')
  return { main, security: found.find((uri) => /\/debian-security\/?$/.test(uri)) }
}

/** Lets the machine in a folder reach apt's mirrors, npm's registry and PyPI as the host does. */
export async function likeHost(root: string): Promise<void> {
  await mkdir(join(root, 'root/.cache'), { recursive: true })
  await copyApt(root)
  const { stdout: globalNpmrc } = await run('npm', ['config', 'get', 'globalconfig'], { cwd: '/' })
  await copy(globalNpmrc.trim(), join(root, 'etc/npmrc'))
  await copy(join(homedir(), '.npmrc'), join(root, 'root/.npmrc'))
  await copy('/etc/pip.conf', join(root, 'etc/pip.conf'))
  // A company's proxy has a certificate of its own; Debian's are there already, and twice does no harm.
  await copy('/etc/ssl/certs/ca-certificates.crt', join(root, 'usr/local/share/ca-certificates/host.crt'))
  const hosts = (await readFile('/etc/hosts', 'utf8'))
    .split('\n')
    .filter((line) => !/^(127\.|::1)/.test(line))
  await writeFile(join(root, 'etc/hosts'), `127.0.0.1 localhost\n::1 localhost\n${hosts.join('\n')}\n`)
}

async function copyApt(root: string): Promise<void> {
  const folder = '/etc/apt/apt.conf.d'
  for (const name of await readdir(folder).catch(() => [])) {
    const text = await readFile(join(folder, name), 'utf8')
    // How to get files; not the hooks and clean-up of the host.
    if (text.includes('Acquire::') && !/DPkg::|APT::Update::/.test(text))
      await writeFile(join(root, folder, name), text)
  }
}

async function copy(from: string, to: string): Promise<void> {
  await copyFile(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** What of the host's environment says how to reach the network. */
export function networkEnvironment(): Record<string, string> {
  const names = /^(https?_proxy|no_proxy|npm_config_(registry|https?_proxy|cafile)|pip_.*)$/i
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      names.test(name) && value ? [[name, value]] : [],
    ),
  )
}
