import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { advisoryLocks } from '../advisory-locks.ts'
import type { Log } from '../log.ts'
import { StorageError } from '../storage-error.ts'
import { findBinaries } from './binaries.ts'
import { ensureCluster } from './cluster.ts'
import { connectEmbedded, type Embedded, type Hold } from './connect.ts'
import { prepareHome } from './home.ts'
import { databasePassword } from './password.ts'
import { findPostmaster, stopPostmaster } from './postmaster.ts'

/** How long the lock of a server that was killed may take to come free, in milliseconds. */
const SERVER_LOCK_PATIENCE_MS = 1_500

/** One use of an embedded database. */
export interface EmbeddedServer {
  clientConfig: pg.ClientConfig
  /** Makes this process the one server of the database, or throws a StorageError. Held until `close`. */
  holdServerLock(): Promise<void>
  /** Ends this use, and stops PostgreSQL where it was the last. */
  close(): Promise<void>
}

/**
 * Opens the embedded database of a data folder: makes it at the first call, starts it or finds it running. While
 * it is open, a PostgreSQL that dies is started again. Throws a StorageError where the folder cannot be used.
 */
export async function openEmbedded(
  dataFolder: string,
  { log, settings = {} }: { log: Log; settings?: Readonly<Record<string, string>> },
): Promise<EmbeddedServer> {
  const home = await prepareHome(dataFolder, log)
  const binaries = await findBinaries(home.account, home.dataFolder, log)
  const password = await databasePassword(home.passwordFile)
  await ensureCluster(home, binaries, password)
  const embedded: Embedded = { home, binaries, password, settings, log }
  return createUse(embedded, await connectEmbedded(embedded))
}

function createUse(embedded: Embedded, first: Hold): EmbeddedServer {
  const { home, log } = embedded
  let hold: Hold | undefined = first
  let isServer = false
  let closing = false
  let recovery: Promise<void> | undefined

  const watch = ({ client }: Hold): void => {
    client.on('end', () => {
      hold = undefined
      if (!closing) recovery = recover()
    })
  }

  /** Our lock is gone with its connection, so somebody else could stop the server beneath us: take it again. */
  const recover = async (): Promise<void> => {
    log.error({ folder: home.cluster }, 'storage.database_lost')
    while (!closing) {
      try {
        const again = await connectEmbedded(embedded)
        if (isServer) await takeServerLock(again.client, home.dataFolder)
        hold = again
        watch(again)
        log.info({ folder: home.cluster }, 'storage.database_back')
        return
      } catch (error) {
        log.error({ err: error }, 'storage.database_not_back')
        await delay(1_000)
      }
    }
  }

  watch(first)
  return {
    clientConfig: first.clientConfig,
    async holdServerLock() {
      if (hold === undefined) throw new StorageError('The embedded database is away')
      await takeServerLock(hold.client, home.dataFolder)
      isServer = true
    },
    async close() {
      if (closing) return
      closing = true
      await recovery
      if (hold === undefined) return
      const { client } = hold
      const last = await release(client).catch(() => false)
      const running = last ? await findPostmaster(home.cluster) : undefined
      if (running !== undefined) {
        await stopPostmaster(home.cluster, running, log)
        log.info({ postgres_pid: running.pid }, 'storage.database_stopped')
      }
      await client.end().catch(() => undefined)
    },
  }
}

/**
 * Gives up the users' lock and answers whether we were the last: then the exclusive lock is ours, and whoever
 * comes now waits for it until the server is gone. Giving up comes first: of two that leave at once one is last.
 */
async function release(client: pg.Client): Promise<boolean> {
  await client.query('select pg_advisory_unlock_shared($1, $2)', [...advisoryLocks.users])
  return tryLock(client, advisoryLocks.users)
}

async function takeServerLock(client: pg.Client, dataFolder: string): Promise<void> {
  const deadline = performance.now() + SERVER_LOCK_PATIENCE_MS
  while (!(await tryLock(client, advisoryLocks.server))) {
    if (performance.now() > deadline) {
      throw new StorageError(
        `Another postern server already runs on ${dataFolder}: stop it, or give this one a data_folder of its own`,
      )
    }
    await delay(100)
  }
}

async function tryLock(client: pg.Client, lock: readonly [number, number]): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1, $2) as locked', [
    ...lock,
  ])
  return rows[0]?.locked === true
}
