import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { advisoryLocks } from '../advisory-locks.ts'
import { isUnavailable } from '../availability.ts'
import { commonClientConfig } from '../client-config.ts'
import type { Log } from '../log.ts'
import { StorageError } from '../storage-error.ts'
import type { Binaries } from './binaries.ts'
import { DATABASE_USER } from './cluster.ts'
import type { Home } from './home.ts'
import { findPostmaster, spawnPostmaster } from './postmaster.ts'

/** How long a start may take, recovery after a crash included, in milliseconds. */
const START_LIMIT_MS = 120_000

/** How often PostgreSQL may refuse to start: after a crash it does until the old server's processes are gone. */
const MOST_ATTEMPTS = 10

/** What it takes to start or find the server of one embedded database. */
export interface Embedded {
  home: Home
  binaries: Binaries
  password: string
  /** PostgreSQL settings beyond ours, for a server that is started here. */
  settings: Readonly<Record<string, string>>
  log: Log
}

/** A connection that holds the shared lock of the embedded database's users. */
export interface Hold {
  client: pg.Client
  clientConfig: pg.ClientConfig
}

/**
 * Connects to the server of an embedded database and takes the users' lock; starts the server where none runs,
 * and adopts one that an earlier process left behind. Throws a StorageError where it does not start.
 */
export async function connectEmbedded(embedded: Embedded): Promise<Hold> {
  const { home, log } = embedded
  const deadline = performance.now() + START_LIMIT_MS
  let server: Started | undefined
  let attempts = 0
  while (performance.now() < deadline) {
    const running = await findPostmaster(home.cluster)
    if (running !== undefined) {
      const hold = await tryHold(running.socketFolder || home.socketFolder, embedded)
      if (hold !== undefined) {
        if (running.pid !== server?.child.pid)
          log.info({ postgres_pid: running.pid }, 'storage.database_found')
        return hold
      }
    } else if (server === undefined || server.ended) {
      attempts += 1
      if (attempts > MOST_ATTEMPTS) break
      server = start(embedded)
    }
    await delay(server?.ended ? 200 : 25)
  }
  throw new StorageError(`The embedded database does not start: see ${home.logFile}`, {
    detail: await lastLines(home.logFile),
  })
}

interface Started {
  child: ChildProcess
  ended: boolean
}

function start({ home, binaries, settings, log }: Embedded): Started {
  const child = spawnPostmaster(home, binaries, settings)
  const started = { child, ended: false }
  child.on('exit', () => {
    started.ended = true
  })
  child.on('error', (error) => {
    started.ended = true
    log.error({ err: error }, 'storage.database_not_started')
  })
  log.info({ postgres_pid: child.pid, folder: home.cluster }, 'storage.database_started')
  return started
}

/** Undefined while the server cannot be reached yet, or is just being stopped by its last user. */
async function tryHold(socketFolder: string, embedded: Embedded): Promise<Hold | undefined> {
  const clientConfig = {
    ...commonClientConfig,
    host: socketFolder,
    port: 5432,
    user: DATABASE_USER,
    password: embedded.password,
    database: DATABASE_USER,
  }
  const client = new pg.Client({ ...clientConfig, statement_timeout: 0 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    // Waits where the last user is stopping the server, and then fails with it.
    await client.query('select pg_advisory_lock_shared($1, $2)', [...advisoryLocks.users])
    return { client, clientConfig }
  } catch (error) {
    await client.end().catch(() => undefined)
    if (isUnavailable(error)) return undefined
    const { code } = error as { code?: string }
    if (code === '3D000') return createDatabase(clientConfig)
    if (code === '28P01') {
      throw new StorageError(
        `${embedded.home.passwordFile} is not the password of the database beside it: restore both from the same backup`,
        { cause: error },
      )
    }
    throw error
  }
}

async function createDatabase(clientConfig: pg.ClientConfig): Promise<undefined> {
  const client = new pg.Client({ ...clientConfig, database: 'postgres', statement_timeout: 0 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(`create database ${DATABASE_USER}`)
  } catch (error) {
    // Another process made it (duplicate_database, or unique_violation in the middle of a race).
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '') && !isUnavailable(error))
      throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-10).join('\n')
}
