import { randomBytes } from 'node:crypto'
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

/** Settings of the one transaction that moves everything: room for temporary tables and sorting, and no time limits. */
const SETTINGS = `
  set local temp_buffers = '128MB';
  set local work_mem = '64MB';
  set local maintenance_work_mem = '256MB';
  set local jit = off;
  set local statement_timeout = 0;
  set local idle_in_transaction_session_timeout = 0`

/**
 * Makes the temporary tables that Synapse's rows are copied to, and what the steps after share. They vanish with the
 * transaction, so that nothing is left of an import that was killed, and PostgreSQL writes no log of them.
 */
export async function createStaging(client: Client): Promise<void> {
  const salt = randomBytes(16).toString('hex')
  await client.query(SETTINGS)
  for (const { name, columns } of SYNAPSE_TABLES) {
    const definitions = columns.map((column) => `${column.name} ${TYPES[column.type]}`)
    await client.query(`create temp table synapse_${name} (${definitions.join(', ')}) on commit drop`)
  }
  await client.query(`
    create temp table synapse_unused_successors (id bigint, sealed bytea) on commit drop;
    create temp table set_aside (synapse_table text, key text, reason text) on commit drop;

    -- A ULID as the database stores it: 48 bits of milliseconds, and 80 that are as random as the salt, for what is one of
    -- its kind in Synapse. The 2^48 keeps leading zeros. Such an ID is unique, not secret; PostgreSQL's own random UUIDs take three times as long.
    create function pg_temp.new_id(at timestamptz, one text) returns uuid language sql stable as $$
      select (substr(to_hex(${2 ** 48} + (date_part('epoch', at) * 1000)::bigint), 2)
              || right(md5(one || '${salt}'), 20))::uuid $$;
    -- A time that means nothing (before 1970, after the year 9999) is none.
    create function pg_temp.time_of(ms bigint) returns timestamptz language sql immutable as $$
      select case when ms between 1 and 253402300799000 then to_timestamp(ms::float8 / 1000) end $$;
    -- An end before 1970 has come, and one after the year 9999 does not come.
    create function pg_temp.end_of(ms bigint) returns timestamptz language sql immutable as $$
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

/** Temporary tables get no statistics by themselves, and the joins after need them. */
export async function analyzeStaging(client: Client): Promise<void> {
  for (const { name } of SYNAPSE_TABLES) await client.query(`analyze synapse_${name}`)
}
