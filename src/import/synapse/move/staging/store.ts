import { randomInt } from 'node:crypto'
import type { Readable } from 'node:stream'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { sealPair } from '../../../../tokens/seal.ts'
import type { UnusedSuccessor } from '../../source/source.ts'
import { type ColumnType, SYNAPSE_TABLES, type SynapseTable } from '../../source/tables.ts'

const TYPES: Record<ColumnType, string> = {
  text: 'text',
  bigint: 'bigint',
  boolean: 'boolean',
  hash: 'bytea',
  form: 'boolean',
}

const NEWLINE = 0x0a

/** Where the tables of the steps are. */
const STAGING = 'import_staging'

/**
 * Settings of the one transaction that moves everything: room for sorting, no time limits, statistics that are enough
 * for a good join order, and both cores for deciding about rows, which takes most of the time. No nested loops: the
 * tables here grow within the transaction, and where autovacuum once saw them empty (a dry run before makes it look) they
 * would be read again from the start for every row. Hash joins take a time that grows with the rows, whatever it saw.
 */
const SETTINGS = `
  set local work_mem = '64MB';
  set local maintenance_work_mem = '256MB';
  set local jit = off;
  set local enable_nestloop = off;
  set local default_statistics_target = 10;
  set local parallel_setup_cost = 100;
  set local min_parallel_table_scan_size = '1MB';
  set local parallel_tuple_cost = 0.005;
  set local statement_timeout = 0;
  set local idle_in_transaction_session_timeout = 0`

/**
 * Makes the tables that Synapse's rows are copied to, and what the steps after share. They exist within the transaction
 * alone, so that nothing is left of an import that was killed, and PostgreSQL writes no log of them. They are not
 * temporary ones, at which PostgreSQL lets no second process help.
 */
export async function createStaging(client: Client): Promise<void> {
  const salts = [randomInt(2 ** 48 - 1), randomInt(2 ** 48 - 1)]
  await client.query(SETTINGS)
  await client.query(`
    create schema ${STAGING};
    set local search_path = ${STAGING}, public`)
  for (const { name, columns } of SYNAPSE_TABLES) {
    const definitions = columns.map((column) => `${column.name} ${TYPES[column.type]}`)
    await client.query(`create unlogged table synapse_${name} (${definitions.join(', ')})`)
  }
  await client.query(`
    create unlogged table synapse_unused_successors (id bigint, sealed bytea);
    create unlogged table set_aside (synapse_table text, key text, reason text);

    -- A ULID as the database stores it: 48 bits of milliseconds, and 78 that are as random as the salts, for what is one of
    -- its kind in Synapse. Times from 2004 to 2527 have eleven digits, and others count as those; the two highest bits of
    -- the hashes keep their number of digits. Such an ID is unique, not secret: MD5 takes twice as long, PostgreSQL's own
    -- random UUIDs three times.
    create function pg_temp.new_id(at timestamptz, one text) returns uuid language sql stable parallel safe as $$
      select ('0' || to_hex(greatest(${2 ** 40}, least(${2 ** 44 - 1}, (date_part('epoch', at) * 1000)::bigint)))
              || to_hex(hashtextextended(one, ${salts[0]}) | '-9223372036854775808'::bigint)
              || to_hex(hashtextextended(one, ${salts[1]}) & 32767 | 32768))::uuid $$;
    -- A time that means nothing (before 1970, after the year 9999) is none.
    create function pg_temp.time_of(ms bigint) returns timestamptz language sql immutable parallel safe as $$
      select case when ms between 1 and 253402300799000 then to_timestamp(ms::float8 / 1000) end $$;
    -- An end before 1970 has come, and one after the year 9999 does not come.
    create function pg_temp.end_of(ms bigint) returns timestamptz language sql immutable parallel safe as $$
      select case when ms <= 253402300799000 then to_timestamp(greatest(ms, 0)::float8 / 1000) end $$`)
}

/** Copies one table's rows; `onRows` is told how many have come so far. */
export async function copyRows(
  client: Client,
  { name, columns }: SynapseTable,
  rows: Readable,
  onRows: (count: number) => void,
): Promise<void> {
  const names = columns.map((column) => column.name).join(', ')
  let count = 0
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) count++
      onRows(count)
      done(null, chunk)
    },
  })
  await pipeline(rows, counter, client.query(copyFrom(`copy synapse_${name} (${names}) from stdin`)))
}

/** Seals each exchanged refresh token's successor, as a refresh here would have done (src/tokens/refresh.ts). */
export async function copySuccessors(
  client: Client,
  batches: AsyncIterable<UnusedSuccessor[]>,
): Promise<void> {
  for await (const batch of batches) {
    const sealed = batch.map(({ presented, successor }) => sealPair(presented, successor))
    await client.query(
      'insert into synapse_unused_successors select * from unnest($1::bigint[], $2::bytea[])',
      [batch.map(({ id }) => id), sealed],
    )
  }
}

/** Drops what the steps shared: the transaction leaves the moved rows alone behind. */
export async function dropStaging(client: Client): Promise<void> {
  await client.query(`drop schema ${STAGING} cascade`)
}

/** New tables get no statistics by themselves, and the joins after need them. */
export async function analyzeStaging(client: Client): Promise<void> {
  for (const { name } of SYNAPSE_TABLES) await client.query(`analyze synapse_${name}`)
}
