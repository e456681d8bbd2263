import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import type { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { appliedMigrations } from '../migrate.ts'
import { type ArchivedJob, type ArchiveHead, END_MARK } from './format.ts'
import { archivedTables, quoted, quotedColumns } from './tables.ts'

/** Reads what is in the archive's snapshot and not in its tables. */
export type UnfinishedJobs = (trx: Knex) => Promise<ArchivedJob[]>

/**
 * Everything that a transaction sees, as an archive that is not compressed yet. With `repeatable read` that is one
 * moment, whatever others write meanwhile.
 */
export async function* writeArchive(
  trx: Knex,
  { now, unfinishedJobs }: { now: Date; unfinishedJobs: UnfinishedJobs },
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const chunk of content(trx, now, unfinishedJobs)) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    hash.update(bytes)
    yield bytes
  }
  yield Buffer.from(`${JSON.stringify({ sha256: hash.digest('hex') })}\n`)
}

async function* content(
  trx: Knex,
  now: Date,
  unfinishedJobs: UnfinishedJobs,
): AsyncGenerator<Buffer | string> {
  const migrations = [...(await appliedMigrations(trx))].sort()
  const head: ArchiveHead = { archive: 'postern', format: 1, created_at: now.toISOString(), migrations }
  yield `${JSON.stringify(head)}\n`
  const connection: Client = await trx.client.acquireConnection()
  for (const table of await archivedTables(trx)) {
    yield `${JSON.stringify({ table: table.name, columns: table.columns })}\n`
    yield* connection.query(
      copyTo(`copy ${quoted(table.name)} (${quotedColumns(table)}) to stdout`),
    ) as AsyncIterable<Buffer>
    yield END_MARK
  }
  yield `${JSON.stringify({ jobs: true })}\n`
  for (const job of await unfinishedJobs(trx)) yield `${JSON.stringify(job)}\n`
  yield END_MARK
}
