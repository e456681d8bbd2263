import { StorageError } from '../storage-error.ts'
import type { ArchivedTable } from './tables.ts'

/**
 * An archive is text, compressed by gzip: a head; every table as a line of JSON, its rows as PostgreSQL's `COPY`
 * writes them, and an end mark; the unfinished jobs; and the SHA-256 of all before it. `zcat` shows it.
 */
export interface ArchiveHead {
  archive: 'postern'
  format: 1
  /** ISO 8601. */
  created_at: string
  /** The migrations that made the tables: what the archive can be read into. */
  migrations: string[]
}

/** A job that had not been done, as it is queued again. */
export interface ArchivedJob {
  name: string
  data: unknown
  userId: string | null
}

export interface TableLine {
  table: string
  columns: string[]
}

/** Alone on a line. `COPY` never writes that: it doubles every backslash. */
export const END_MARK = '\\.\n'

/** @throws ArchiveError where the line is not the head of an archive that can be read */
export function parseHead(line: string): ArchiveHead {
  const head = parseLine(line) as Partial<ArchiveHead>
  if (head.archive !== 'postern') throw new ArchiveError('this is no backup of Postern')
  if (head.format !== 1 || !Array.isArray(head.migrations))
    throw new ArchiveError('a newer version of Postern wrote it: install that version')
  return head as ArchiveHead
}

export function parseLine(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // The same answer as for JSON that is nothing of ours.
  }
  throw new ArchiveError('it is damaged')
}

export function tableOf(line: unknown): ArchivedTable | undefined {
  const { table, columns } = line as Partial<TableLine>
  return typeof table === 'string' && Array.isArray(columns) ? { name: table, columns } : undefined
}

/** An archive that cannot be used. Nothing of it was kept. */
export class ArchiveError extends StorageError {
  constructor(what: string, cause?: unknown) {
    super(`The backup cannot be restored: ${what}. Nothing of it was kept`, { cause })
  }
}
