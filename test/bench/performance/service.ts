import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { freePort } from '../../support/free-port.ts'
import { SERVICE_CORE } from './pinning.ts'
import { run } from './process.ts'

export const HOMESERVER_SECRET = 'secret-shared-with-the-homeserver'
export const SERVER_NAME = 'localhost.test'

const MAIN = join(import.meta.dirname, '../../../src/main.ts')
const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8'))
/** How `npm start` lets glibc treat the memory of password hashing. */
const GLIBC_TUNABLES = /GLIBC_TUNABLES=(\S+)/.exec(scripts.start)?.[1]

/** And how V8 is to keep its room for new objects small. */
const NODE_FLAGS =
  String(scripts.start)
    .match(/ --\S+/g)
    ?.map((flag) => flag.trim()) ?? []

const START_LIMIT_MS = 60_000
const NO_LIMIT = { points: 1_000_000, per_seconds: 1 }

/** The service as an operator runs it: a process of its own, bound to the core that its database has. */
export interface Service {
  port: number
  /** Milliseconds from the start of the process to the first `/ready` that says so. */
  readyAfter: number
  /** The resident memory of the service's own process, in megabytes. */
  memory(): number
  stop(): Promise<void>
}

/** A folder of the service's own. */
export async function serviceFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
  await chmod(folder, 0o711)
  return folder
}

/** Starts a service on a data folder; without `databaseUri` with the embedded database in it. */
export async function startService(
  folder: string,
  { databaseUri, homeserver }: { databaseUri?: string; homeserver: string },
): Promise<Service> {
  const port = await freePort()
  const file = join(folder, 'postern.yaml')
  const config = {
    data_folder: folder,
    http: { public_url: `http://localhost:${port}/`, listeners: [{ host: '127.0.0.1', port }] },
    database: databaseUri === undefined ? {} : { uri: databaseUri },
    matrix: { server_name: SERVER_NAME, endpoint: homeserver, secret: HOMESERVER_SECRET },
    // A flood of sign-ins is to reach the passwords, as one from many addresses would.
    limits: { sign_in_per_address: NO_LIMIT, sign_in_per_user: NO_LIMIT },
    log: { level: 'warn' },
  }
  await writeFile(file, stringify(config))
  const started = performance.now()
  // What profiles the service goes to Node.js by POSTERN_BENCH_NODE_OPTIONS, such as --cpu-prof.
  const { POSTERN_BENCH_NODE_OPTIONS: NODE_OPTIONS, ...env } = process.env
  const child = run(SERVICE_CORE, [...NODE_FLAGS, MAIN, '--config', file, 'server'], {
    ...env,
    GLIBC_TUNABLES,
    ...(NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS }),
  })
  try {
    let failure: string | undefined
    void child.ended.then((said) => {
      failure = `The service ended:\n${said}`
    })
    while (!(await ready(port))) {
      if (failure !== undefined) throw new Error(failure)
      if (performance.now() - started > START_LIMIT_MS) throw new Error('The service does not start')
      await delay(5)
    }
  } catch (error) {
    await child.stop()
    throw error
  }
  return {
    port,
    readyAfter: performance.now() - started,
    memory: () => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)])) / 1024,
    stop: child.stop,
  }
}

async function ready(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/ready`).then(
    (response) => response.ok,
    () => false,
  )
}

/** Starts a service on a database elsewhere, in a data folder that goes away with it. */
export async function startOn(databaseUri: string, homeserver: string): Promise<Service> {
  const folder = await serviceFolder()
  const service = await startService(folder, { databaseUri, homeserver })
  return {
    ...service,
    async stop() {
      await service.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
