import type { Readable } from 'node:stream'
import { PosternError } from '../../../errors.ts'
import type { TokenPair } from '../../../tokens/seal.ts'
import type { HasColumn, UnusedSuccessorRow } from './store.ts'
import { OPTIONAL_TABLES, SYNAPSE_TABLES, type SynapseTable } from './tables.ts'

/** Synapse's database cannot be read as it is. The message says why. */
export class SourceError extends PosternError {
  constructor(message: string, { cause }: { cause?: unknown } = {}) {
    super('synapse_database', message, { cause })
  }
}

/** A refresh token that was exchanged while its successor was not used yet: the client may ask again. */
export interface UnusedSuccessor {
  /** `refresh_tokens.id` of the exchanged one. */
  id: string
  presented: string
  successor: TokenPair
}

/** A Synapse's database, open for reading: one snapshot of it. Nothing is written or locked. */
export interface SynapseSource {
  /** For people, without a password. */
  readonly address: string
  readonly schemaVersion: number | undefined
  /** `users.locked`, … that an older schema lacks. */
  readonly missing: readonly string[]
  /** What shows that somebody uses the database now, in words; empty where nothing does. */
  users(): Promise<string[]>
  /** About how many rows a table has. */
  estimate(table: SynapseTable): Promise<number>
  /** A table's rows in the text format of PostgreSQL's COPY, a line each. */
  read(table: SynapseTable): Readable
  unusedSuccessors(): AsyncIterable<UnusedSuccessor[]>
  /** The rows of a query in words of both engines, with `$1` for the first value; every column must be a text. */
  query<Row>(sql: (has: HasColumn) => string, values?: readonly string[]): Promise<Row[]>
  close(): Promise<void>
}

export function toUnusedSuccessor(row: UnusedSuccessorRow): UnusedSuccessor {
  // Where the successor's access token is gone, whatever stands here is never given out: the pair is refreshed first.
  const successor = { accessToken: row.access ?? row.refresh, refreshToken: row.refresh }
  return { id: row.id, presented: row.presented, successor }
}

/**
 * The columns that a schema lacks, as `table.column`.
 * @throws SourceError where it is none of Synapse's
 */
export function missingColumns(present: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return SYNAPSE_TABLES.flatMap(({ name, columns, required }) => {
    const has = present.get(name)
    if (!has && !OPTIONAL_TABLES.has(name)) {
      const why = 'this is not the database of a Synapse, or another schema of it'
      throw new SourceError(`There is no table ${name}: ${why}`)
    }
    const lacking = [...new Set(columns.map((one) => one.from ?? one.name))].filter((one) => !has?.has(one))
    const needed = has && required.find((one) => lacking.includes(one))
    if (needed)
      throw new SourceError(`${name} has no column ${needed}: this is not the database of a Synapse`)
    return lacking.map((column) => `${name}.${column}`)
  })
}
