import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Knex } from 'knex'
import type { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { migrate } from '../migrate.ts'
import { StorageError } from '../storage-error.ts'
import { type ArchivedJob, ArchiveError, parseHead, parseLine, tableOf } from './format.ts'
import { createLineReader, type LineReader } from './lines.ts'
import {
  type ArchivedTable,
  archivedTables,
  continueCounters,
  quoted,
  quotedColumns,
  tableWithRows,
} from './tables.ts'

export interface RestoreDeps {
  /** A database without time limits on statements. */
  knex: Knex
  /** Makes the job queue's tables, before anything is queued. */
  prepareJobs: () => Promise<void>
  /** Queues a job again, in the transaction of the restore. */
  queueJob: (trx: Knex, job: ArchivedJob) => Promise<void>
}

/**
 * Fills an empty database from an archive: all of it or nothing. Afterwards it is at the schema of the archive; a
 * start of the service brings it up to date.
 * @throws ArchiveError where the archive is not whole; StorageError where the database is not empty
 */
export async function readArchive(chunks: AsyncIterable<Buffer>, deps: RestoreDeps): Promise<void> {
  const { knex, prepareJobs, queueJob } = deps
  const reader = createLineReader(chunks)
  try {
    const { migrations } = parseHead(await reader.line())
    await migrate(knex, { exactly: migrations })
    const filled = await tableWithRows(knex)
    if (filled !== undefined)
      throw new StorageError(`The database is not empty (there are ${filled}): restore into a new one`)
    await prepareJobs()
    await knex.transaction(async (trx) => {
      await fill(trx, reader, queueJob)
      await reader.verify()
    })
  } catch (error) {
    if (error instanceof StorageError) throw error
    // gzip finds most damage itself, and PostgreSQL refuses rows that are none.
    const { code } = error as { code?: string }
    if (code && /^(Z_|22|23)/.test(code)) throw new ArchiveError('it is damaged', error)
    throw error
  }
}

async function fill(trx: Knex, reader: LineReader, queueJob: RestoreDeps['queueJob']): Promise<void> {
  const missing = new Map((await archivedTables(trx)).map((table) => [table.name, table]))
  for (;;) {
    const head = parseLine(await reader.line())
    const table = tableOf(head)
    if (!table) break
    // Names from a file end up in a statement: only those that the schema has.
    const known = missing.get(table.name)
    if (!known || !table.columns.every((column) => known.columns.includes(column)))
      throw new ArchiveError(`it has a table ${table.name} that this version does not have so`)
    missing.delete(table.name)
    await fillTable(trx, table, reader)
  }
  if (missing.size > 0) throw new ArchiveError(`it lacks ${[...missing.keys()].join(', ')}`)
  let jobs = ''
  for await (const piece of reader.rows()) jobs += piece.toString('utf8')
  for (const line of jobs.split('\n').filter(Boolean)) await queueJob(trx, parseLine(line) as ArchivedJob)
}

async function fillTable(trx: Knex, table: ArchivedTable, reader: LineReader): Promise<void> {
  const connection: Client = await trx.client.acquireConnection()
  const into = connection.query(copyFrom(`copy ${quoted(table.name)} (${quotedColumns(table)}) from stdin`))
  await pipeline(Readable.from(reader.rows(), { objectMode: false }), into)
  await continueCounters(trx, table)
}
