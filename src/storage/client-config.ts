import pg from 'pg'

const INT8_OID = 20

/** `bigint` columns hold counters and milliseconds here, which stay far below 2^53: numbers, not strings. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8_OID && format !== 'binary'
      ? Number
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
}

/** How long PostgreSQL may work on one statement, in milliseconds. */
const STATEMENT_TIMEOUT_MS = 5_000

/** How long a connection may stay silent while a statement runs, in milliseconds: then the other side is gone. */
export const SILENCE_TIMEOUT_MS = 7_000

/** What every connection of the service has in common: time limits, so that nothing hangs for ever, and types. */
export const commonClientConfig = {
  application_name: 'postern',
  connectionTimeoutMillis: 5_000,
  statement_timeout: STATEMENT_TIMEOUT_MS,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
  types,
} satisfies pg.ClientConfig

/** The client configuration for a PostgreSQL connection URI. */
export function clientConfigOf(uri: string): pg.ClientConfig {
  return { ...commonClientConfig, connectionString: uri }
}
