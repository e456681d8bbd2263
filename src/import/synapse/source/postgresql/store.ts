import type { Readable } from 'node:stream'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { missingColumns, SourceError, type SynapseSource, toUnusedSuccessor } from '../source.ts'
import { type HasColumn, selectUnusedSuccessors, type UnusedSuccessorRow } from '../store.ts'
import { type Column, SYNAPSE_TABLES, type SynapseTable } from '../tables.ts'

const SUCCESSOR_BATCH = 1000

/**
 * Connects to Synapse's PostgreSQL and opens a read-only snapshot. Throws SourceError where it cannot be read.
 * @param address what people are told, without a password
 */
export async function openPostgresqlSource(config: pg.ClientConfig, address: string): Promise<SynapseSource> {
  const client = new pg.Client({ ...config, application_name: 'postern import', statement_timeout: 0 })
  // A connection that breaks fails the query that runs on it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    // One state of all tables, also beside a Synapse that runs.
    await client.query('begin isolation level repeatable read read only')
    // Limits of Synapse's own role are for its requests: a large table takes longer, and so does what is made of it.
    await client.query('set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0')
    const present = await presentColumns(client)
    const has: HasColumn = (table, column) => present.get(table)?.has(column) ?? false
    return {
      address,
      schemaVersion: await schemaVersion(client),
      missing: missingColumns(present),
      users: () => connections(client),
      estimate: async ({ name }) => (present.has(name) ? estimate(client, name) : 0),
      read: (table) => client.query(copyTo(`copy (${select(table, has)}) to stdout`)) as Readable,
      unusedSuccessors: () => unusedSuccessors(client, has),
      query: async <Row>(sql: (has: HasColumn) => string, values: readonly string[] = []) => {
        const { rows } = await client.query(sql(has), [...values])
        return rows as Row[]
      },
      close: () => client.end(),
    }
  } catch (error) {
    await client.end().catch(() => undefined)
    if (error instanceof SourceError) throw error
    const { message, errors } = error as AggregateError
    const why = message || String((errors?.[0] as Error | undefined)?.message)
    throw new SourceError(`Synapse's database ${address} cannot be read: ${why}`, { cause: error })
  }
}

async function presentColumns(client: pg.Client): Promise<Map<string, Set<string>>> {
  const { rows } = await client.query<{ table: string; columns: string[] }>(
    `select c.relname::text as table, array_agg(a.attname::text) as columns
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.oid in (select to_regclass(quote_ident(name)) from unnest($1::text[]) as t(name))
      group by c.relname`,
    [SYNAPSE_TABLES.map(({ name }) => name)],
  )
  return new Map(rows.map(({ table, columns }) => [table, new Set(columns)]))
}

async function schemaVersion(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ found: boolean }>(
    `select to_regclass('schema_version') is not null as found`,
  )
  if (!rows[0]?.found) return undefined
  const version = await client.query<{ version: number }>('select version from schema_version limit 1')
  return version.rows[0]?.version
}

/** Statistics where there are any, or a count. */
async function estimate(client: pg.Client, table: string): Promise<number> {
  const { rows } = await client.query<{ rows: number }>(
    'select reltuples::float8 as rows from pg_class where oid = to_regclass($1)',
    [table],
  )
  const known = rows[0]?.rows ?? 0
  if (known > 0) return Math.round(known)
  const counted = await client.query<{ rows: number }>(`select count(*)::float8 as rows from ${table}`)
  return counted.rows[0]?.rows ?? 0
}

function select({ name, columns }: SynapseTable, has: HasColumn): string {
  const values = columns.map((column) =>
    has(name, column.from ?? column.name) ? expressionOf(column) : 'null',
  )
  // A table that older schemas lack has no rows.
  const missing = values.every((value) => value === 'null')
  return `select ${values.join(', ')} ${missing ? 'where false' : `from ${name}`}`
}

/** Tokens are hashed by Synapse's own PostgreSQL: they do not even travel (invariant 1). */
function expressionOf({ name, type, from = name, prefixes = [] }: Column): string {
  if (type === 'hash') return `sha256(convert_to(${from}, 'UTF8'))`
  // As `mayBeToken` takes them.
  if (type === 'form')
    return `left(${from}, 4) in (${prefixes.map((prefix) => `'${prefix}'`).join(', ')}) and length(${from}) <= 1024`
  // `admin` and others are numbers.
  if (type === 'boolean') return `${from}::int <> 0`
  return from
}

/** PostgreSQL tells everyone who is connected to a database, and as which application. */
async function connections(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ usename: string; application: string; count: number }>(
    `select usename, coalesce(application_name, '') as application, count(*)::int as count from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and usename is not null
        and coalesce(application_name, '') !~ '^(psql|pg_|pgAdmin|postern)'
      group by 1, 2 order by 1, 2`,
  )
  return rows.map(({ usename, application, count }) => {
    const what = count === 1 ? 'a connection is' : `${count} connections are`
    return `${what} open to its database as ${usename}${application ? ` (${application})` : ''}`
  })
}

async function* unusedSuccessors(client: pg.Client, has: HasColumn) {
  const sql = selectUnusedSuccessors(has)
  if (!sql) return
  await client.query(`declare unused_successors no scroll cursor for ${sql}`)
  for (;;) {
    const { rows } = await client.query<UnusedSuccessorRow>(`fetch ${SUCCESSOR_BATCH} from unused_successors`)
    if (rows.length === 0) return
    yield rows.map(toUnusedSuccessor)
  }
}
