import type { Knex } from 'knex'
import type pg from 'pg'
import type { Config } from '../config/index.ts'
import type { OnConnection } from '../telemetry/spans/database.ts'
import { clientConfigOf } from './client-config.ts'
import { openEmbedded } from './embedded/server.ts'
import type { Log } from './log.ts'
import { createPool } from './pool.ts'
import { hasServers } from './server-requests.ts'
import { StorageError } from './storage-error.ts'

/** An open database. */
export interface Database {
  knex: Knex
  /** For those who need a connection of their own beside the pool. */
  clientConfig: pg.ClientConfig
  /** Whether PostgreSQL is the one that Postern carries. */
  embedded: boolean
  /** See `holdServerLock`. */
  lockServer(): Promise<void>
  /** Closes the pool; an embedded PostgreSQL is stopped where nobody else uses it. */
  close(): Promise<void>
}

/** Opens the configured PostgreSQL, or the embedded one where `database.uri` is absent. */
export async function openDatabase(
  config: Pick<Config, 'database' | 'data_folder'>,
  { log, onConnection }: { log: Log; onConnection?: OnConnection | undefined },
): Promise<Database> {
  const { uri, max_connections } = config.database
  if (uri !== undefined) {
    const clientConfig = clientConfigOf(uri)
    const knex = createPool(clientConfig, max_connections, { log, onConnection })
    return {
      knex,
      clientConfig,
      embedded: false,
      lockServer: async () => undefined,
      close: () => knex.destroy(),
    }
  }
  const server = await openEmbedded(config.data_folder, { log })
  const knex = createPool(server.clientConfig, max_connections, { log, onConnection })
  return {
    knex,
    clientConfig: server.clientConfig,
    embedded: true,
    lockServer: server.holdServerLock,
    async close() {
      await knex.destroy()
      await server.close()
    },
  }
}

/**
 * Makes this process the one server of an embedded database until it closes it; a second one gets a StorageError.
 * A database of one's own may have any number of servers.
 */
export async function holdServerLock(database: Database): Promise<void> {
  await database.lockServer()
}

/**
 * Whether a server uses the database. Where none does, an embedded database is kept from servers until it is closed; in a
 * database of one's own a server shows by the connection on which it listens for requests.
 */
export async function isServed(database: Database): Promise<boolean> {
  if (database.embedded) return database.lockServer().then(() => false, isTaken)
  return hasServers(database.clientConfig)
}

function isTaken(error: unknown): true {
  if (error instanceof StorageError) return true
  throw error
}
