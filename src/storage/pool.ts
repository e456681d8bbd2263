import type { Socket } from 'node:net'
import type { Knex } from 'knex'
import knexFactory from 'knex'
import type pg from 'pg'
import type { OnConnection } from '../telemetry/spans/database.ts'
import { SILENCE_TIMEOUT_MS } from './client-config.ts'
import type { Log } from './log.ts'
import { nameStatements } from './named-statements.ts'

/** The parts of a pg client that have no public name: its socket, and whether it waits for an answer. */
interface ClientInternals {
  query(statement: unknown, ...rest: unknown[]): unknown
  connection: { stream: Socket }
  readyForQuery: boolean
}

export interface PoolOptions {
  log?: Log
  /** Told of every new connection: what runs statements on it may be put around. */
  onConnection?: OnConnection | undefined
}

/**
 * A knex instance on a pool of connections. A connection whose server stopped answering in the middle of a
 * statement is cut after some seconds (statement_timeout cannot help there: the server is what enforces it), so
 * that the query fails and the pool makes a new one.
 */
export function createPool(
  clientConfig: pg.ClientConfig,
  maxConnections: number,
  { log, onConnection }: PoolOptions = {},
): Knex {
  return knexFactory({
    client: 'pg',
    // What knex reports is thrown at whoever asked, too; by itself it would write to standard output.
    log: {
      warn: (message) => log?.warn({ reason: String(message) }, 'storage.connection_failed'),
      error: (message) => log?.warn({ reason: String(message) }, 'storage.connection_failed'),
      deprecate: (method, alternative) => log?.warn({ method, alternative }, 'storage.deprecated'),
      debug: () => undefined,
    },
    // A copy: knex hides the password in what it is given.
    connection: { ...clientConfig } as Knex.PgConnectionConfig,
    acquireConnectionTimeout: 5_000,
    pool: {
      min: 0,
      max: maxConnections,
      afterCreate(client: ClientInternals, done: (error: Error | null, client: unknown) => void) {
        const { stream } = client.connection
        stream.setTimeout(SILENCE_TIMEOUT_MS, () => {
          if (!client.readyForQuery) stream.destroy(new Error('The database stopped answering'))
        })
        nameStatements(client)
        onConnection?.(client)
        done(null, client)
      },
    },
  })
}
