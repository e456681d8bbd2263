import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeBlocks, documentedTokenList, replaced } from './documented.ts'

export type ProxyName = 'nginx' | 'caddy'

export interface ProxyOptions {
  /** Host and port. */
  synapse: string
  postern: string
  /** The ports of 127.0.0.1 that stand for the three public names. */
  ports: { matrix: number; auth: number; site: number }
  /** Registration files of appservices. */
  registrations?: string[]
}

export interface RunningProxy {
  /** What it has written so far: its access log and everything else. */
  log(): Promise<string>
  stop(): Promise<void>
}

const SITES = { matrix: 'matrix.example.org', auth: 'auth.example.org', site: 'example.org' }

/** A real nginx or Caddy with what docs/reverse-proxy.md says, but for names, ports and TLS. */
export async function startDocumentedProxy(name: ProxyName, options: ProxyOptions): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${name}-`))
  // As root nginx works under another account, which has to get at its temporary files.
  await chmod(folder, 0o711)
  const tokens = await documentedTokenList(name, folder, options.registrations ?? [])
  const snippet = replaced((await codeBlocks('reverse-proxy.md', name)).join('\n'), {
    [`/etc/${name}/appservice-tokens`]: tokens,
    '127.0.0.1:8008': options.synapse,
    '127.0.0.1:8080': options.postern,
  })
  const start = name === 'nginx' ? nginx : caddy
  const { command, args } = await start(folder, snippet, options.ports)
  const output = await open(join(folder, 'output'), 'a')
  const child = spawn(command, args, {
    cwd: folder,
    stdio: ['ignore', output.fd, output.fd],
    // Caddy keeps what it was told in the home folder.
    env: { PATH: process.env.PATH, HOME: folder },
  })
  await output.close()
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  const log = () => readFile(join(folder, 'output'), 'utf8')
  await waitUntilUp(child, Object.values(options.ports), log)
  return {
    log,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit')
        child.kill('SIGTERM')
        await exit
      }
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function nginx(folder: string, snippet: string, ports: ProxyOptions['ports']) {
  const listening = Object.entries(SITES).map(([site, name]) => [
    `listen 443 ssl;\n    server_name ${name};`,
    `listen 127.0.0.1:${ports[site as keyof typeof SITES]};\n    server_name ${name};`,
  ])
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((one) => `${one}_temp_path ${folder}/${one};`)
    .join('\n')
  const plain = replaced(snippet, Object.fromEntries(listening)).replaceAll(/^ *ssl_certificate.*\n/gm, '')
  const file = join(folder, 'nginx.conf')
  await writeFile(
    file,
    `daemon off;
    pid ${folder}/nginx.pid;
    error_log stderr notice;
    events {}
    http {
    access_log /dev/stdout combined;
    ${temporary}
    ${plain}
    }`,
  )
  return { command: '/usr/sbin/nginx', args: ['-p', folder, '-e', 'stderr', '-c', file] }
}

async function caddy(folder: string, snippet: string, ports: ProxyOptions['ports']) {
  let sites = snippet
  for (const [site, name] of Object.entries(SITES)) {
    const address = `http://127.0.0.1:${ports[site as keyof typeof SITES]}, http://localhost:${ports[site as keyof typeof SITES]}`
    // At the start of a line: one name ends with another.
    sites = replaced(`\n${sites}`, { [`\n${name} {`]: `\n${address} {\n\tbind 127.0.0.1\n\tlog` })
  }
  const file = join(folder, 'Caddyfile')
  await writeFile(file, `{\n\tadmin off\n\tauto_https off\n}\n${sites}`)
  return { command: '/usr/bin/caddy', args: ['run', '--config', file, '--adapter', 'caddyfile'] }
}

async function waitUntilUp(child: ChildProcess, ports: number[], log: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + 20_000
  for (const port of ports) {
    for (;;) {
      const up = await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
      if (up) break
      if (child.exitCode !== null || Date.now() > deadline) {
        child.kill('SIGKILL')
        throw new Error(`The proxy did not start:\n${await log()}`)
      }
      await sleep(50)
    }
  }
}
