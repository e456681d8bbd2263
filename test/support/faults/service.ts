import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { freePort } from '../free-port.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
export const SECRET = 'secret-shared-with-the-homeserver'
export const SERVER_NAME = 'localhost.test'

export interface ServiceOptions {
  /** Where the homeserver is. */
  homeserver: string
  /** An external PostgreSQL; the embedded one in the data folder if absent. */
  databaseUri?: string
  /** Shared by replicas; a new one if absent. */
  folder?: string
  /** Where the configuration file goes, where the folder cannot be written. */
  configFolder?: string
  /** The public address where it is not the service's own, as behind a reverse proxy. */
  publicUrl?: string
  /** Runs as this account. */
  uid?: number
  /** Further listeners beside the one of `url`. */
  listeners?: object[]
  /** Further sections of the configuration. */
  config?: Record<string, unknown>
}

/** Postern as a process of its own, which a test may kill and start again. */
export interface Service {
  /** Where this process listens, ending with a slash. */
  url: string
  folder: string
  /** For commands beside it. */
  configFile: string
  /** The running process. */
  readonly child: ChildProcess
  /** What it logged, over all its lives. */
  output(): string
  /** Starts it; answers once it says that it is ready. */
  start(): Promise<void>
  /** Starts it and answers with its exit code, where it must not come up. */
  startInVain(): Promise<number | null>
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** A data folder that the account of the embedded PostgreSQL may enter. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-fault-'))
  await chmod(folder, 0o711)
  return folder
}

export async function createService(options: ServiceOptions): Promise<Service> {
  const folder = options.folder ?? (await makeFolder())
  const port = await freePort()
  const url = `http://localhost:${port}/`
  const { http, ...sections } = options.config ?? {}
  const file = join(options.configFolder ?? folder, `postern-${port}.yaml`)
  await writeFile(
    file,
    stringify({
      data_folder: join(folder, 'data'),
      http: {
        public_url: options.publicUrl ?? url,
        listeners: [{ host: 'localhost', port }, ...(options.listeners ?? [])],
        trusted_proxies: ['127.0.0.1/32', '::1/128'],
        ...(http as object | undefined),
      },
      matrix: { server_name: SERVER_NAME, endpoint: options.homeserver, secret: SECRET, request_timeout: 2 },
      ...(options.databaseUri ? { database: { uri: options.databaseUri } } : {}),
      client_registration: { allow_insecure_uris: true },
      ...sections,
    }),
  )
  let child: ChildProcess | undefined
  let output = ''

  function spawnIt(): ChildProcess {
    const spawned = spawn(process.execPath, [MAIN, '--config', file, 'server'], {
      cwd: folder,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    })
    for (const stream of [spawned.stdout, spawned.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk
      })
    }
    const killWithUs = () => spawned.kill('SIGKILL')
    process.once('exit', killWithUs)
    spawned.once('exit', () => process.off('exit', killWithUs))
    return spawned
  }

  async function start(): Promise<void> {
    child = spawnIt()
    while (!(await answers(`${url}ready`))) {
      if (child.exitCode !== null) throw new Error(`The service ended: ${output}`)
      await delay(50)
    }
  }

  return {
    url,
    folder,
    configFile: file,
    get child() {
      if (!child) throw new Error('The service was not started')
      return child
    },
    output: () => output,
    start,
    async startInVain() {
      child = spawnIt()
      const [code] = (await once(child, 'exit')) as [number | null]
      return code
    },
    async stop(signal = 'SIGTERM') {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill(signal)
      await exit
    },
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
}

/** Megabytes that a service's own process holds. */
export async function memoryOf({ child }: Service): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
}
