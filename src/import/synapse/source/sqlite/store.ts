import { hash } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { Readable } from 'node:stream'
import { mayBeToken } from '../../../../tokens/format.ts'
import { missingColumns, SourceError, type SynapseSource, toUnusedSuccessor } from '../source.ts'
import { type HasColumn, selectUnusedSuccessors, type UnusedSuccessorRow } from '../store.ts'
import { type Column, SYNAPSE_TABLES, type SynapseTable } from '../tables.ts'
import { processesWith } from './processes.ts'

const CHUNK_CHARACTERS = 65_536
const SUCCESSOR_BATCH = 1000

type Value = string | number | bigint | null | Uint8Array

/** Opens Synapse's SQLite file for reading. Throws SourceError where it cannot be read. */
export async function openSqliteSource(file: string): Promise<SynapseSource> {
  await access(file, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    throw new SourceError(`Synapse's database ${file} cannot be read (${error.code})`, { cause: error })
  })
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
    // One state of all tables, also beside a Synapse that runs.
    database.exec('begin')
    return sourceOf(database, file)
  } catch (error) {
    database?.close()
    if (error instanceof SourceError) throw error
    throw new SourceError(`Synapse's database ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function sourceOf(database: DatabaseSync, file: string): SynapseSource {
  const present = presentColumns(database)
  const has: HasColumn = (table, column) => present.get(table)?.has(column) ?? false
  const missing = missingColumns(present)
  const hasVersion = database.prepare(`select 1 from sqlite_master where name = 'schema_version'`).get()
  const version = hasVersion && database.prepare('select version from schema_version').get()?.version
  return {
    address: file,
    schemaVersion: typeof version === 'number' ? version : undefined,
    missing,
    users: () => processesWith(file),
    estimate: async ({ name }) =>
      present.has(name) ? Number(database.prepare(`select count(*) as n from ${name}`).get()?.n) : 0,
    read: (table) => Readable.from(lines(database, table, has), { objectMode: false }),
    unusedSuccessors: () => unusedSuccessors(database, has),
    query: async <Row>(sql: (has: HasColumn) => string, values: readonly string[] = []) => {
      const named = Object.fromEntries(values.map((value, index) => [`$${index + 1}`, value]))
      return database.prepare(sql(has)).all(named) as Row[]
    },
    close: async () => database.close(),
  }
}

function presentColumns(database: DatabaseSync): Map<string, Set<string>> {
  const columns = database.prepare('select name from pragma_table_info(?)')
  const tables = SYNAPSE_TABLES.map(({ name }) => {
    const names = columns.all(name).map((row) => String(row.name))
    return [name, new Set(names)] as const
  })
  return new Map(tables.filter(([, names]) => names.size > 0))
}

/** The rows as lines, gathered to chunks: the writer's backpressure holds the loop between them. */
function* lines(database: DatabaseSync, { name, columns }: SynapseTable, has: HasColumn): Generator<string> {
  const values = columns.map((column) =>
    has(name, column.from ?? column.name) ? expressionOf(column) : 'null',
  )
  if (values.every((value) => value === 'null')) return
  const statement = database.prepare(`select ${values.join(', ')} from ${name}`)
  statement.setReturnArrays(true)
  statement.setReadBigInts(false)
  let chunk = ''
  for (const row of statement.iterate() as unknown as Iterable<Value[]>) {
    for (let index = 0; index < columns.length; index++) {
      const field = fieldOf(columns[index]!, row[index] ?? null)
      chunk += index === 0 ? field : `\t${field}`
    }
    chunk += '\n'
    if (chunk.length < CHUNK_CHARACTERS) continue
    yield chunk
    chunk = ''
  }
  if (chunk !== '') yield chunk
}

/** SQLite lets any column hold anything: the casts make it what PostgreSQL would have. */
function expressionOf({ name, type, from = name }: Column): string {
  // As text: times that mean nothing may be larger than a number of JavaScript.
  if (type === 'bigint') return `cast(cast(${from} as integer) as text)`
  if (type === 'boolean') return `${from} <> 0`
  return `cast(${from} as text)`
}

function fieldOf({ type, prefixes }: Column, value: Value): string {
  if (value === null) return '\\N'
  if (type === 'text') return escaped(String(value))
  if (type === 'hash') return `\\\\x${hash('sha256', String(value))}`
  if (type === 'form') return isForm(String(value), prefixes) ? 't' : 'f'
  if (type === 'boolean') return value ? 't' : 'f'
  return String(value)
}

function isForm(token: string, prefixes: readonly string[] = []): boolean {
  return prefixes.includes(token.slice(0, 4)) && mayBeToken(token)
}

const SPECIAL = /[\\\t\n\r\0]/g
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** PostgreSQL's text has no NUL; the replacement character keeps such a value from passing for another one. */
function escaped(text: string): string {
  SPECIAL.lastIndex = 0
  return SPECIAL.test(text) ? text.replace(SPECIAL, (character) => ESCAPES[character] ?? '\ufffd') : text
}

async function* unusedSuccessors(database: DatabaseSync, has: HasColumn) {
  const sql = selectUnusedSuccessors(has)
  if (!sql) return
  let batch: UnusedSuccessorRow[] = []
  for (const row of database.prepare(sql).iterate()) {
    batch.push(row as unknown as UnusedSuccessorRow)
    if (batch.length < SUCCESSOR_BATCH) continue
    yield batch.map(toUnusedSuccessor)
    batch = []
  }
  if (batch.length > 0) yield batch.map(toUnusedSuccessor)
}
