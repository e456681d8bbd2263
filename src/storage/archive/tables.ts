import type { Knex } from 'knex'
import { StorageError } from '../storage-error.ts'

/** A table with the columns that hold something of their own, in their order. */
export interface ArchivedTable {
  name: string
  columns: string[]
}

/** What the migrations themselves note. An archive names them in its head instead. */
const BOOKKEEPING = ['knex_migrations', 'knex_migrations_lock']

/**
 * Every table of this service in the order in which they can be filled: what others refer to comes first.
 * @throws StorageError where tables refer to each other in a circle
 */
export async function archivedTables(db: Knex): Promise<ArchivedTable[]> {
  const { rows: tables } = await db.raw<{ rows: (ArchivedTable & { refers_to: string[] })[] }>(
    `select c.relname as name,
            (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
            array(select distinct f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
                   where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid) as refers_to
       from pg_class c
      where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname <> all(?)
      order by c.relname`,
    [BOOKKEEPING],
  )
  const ordered: ArchivedTable[] = []
  const waiting = [...tables]
  while (waiting.length > 0) {
    const index = waiting.findIndex(({ refers_to }) =>
      refers_to.every((name) => ordered.some((one) => one.name === name)),
    )
    const [next] = waiting.splice(Math.max(index, 0), 1)
    if (index < 0 || !next)
      throw new StorageError('Tables refer to each other in a circle, so that none can be filled first')
    ordered.push({ name: next.name, columns: next.columns })
  }
  return ordered
}

/** A name as PostgreSQL takes it, whatever is in it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quotedColumns(table: ArchivedTable): string {
  return table.columns.map(quoted).join(', ')
}

/** The first table that has a row, or undefined where all are empty. */
export async function tableWithRows(db: Knex): Promise<string | undefined> {
  for (const { name } of await archivedTables(db)) {
    const { rows } = await db.raw<{ rows: { found: boolean }[] }>(
      `select exists (select from ${quoted(name)}) as found`,
    )
    if (rows[0]?.found) return name
  }
  return undefined
}

/** Lets columns that count by themselves go on after the highest number that they have. */
export async function continueCounters(db: Knex, table: ArchivedTable): Promise<void> {
  const { rows } = await db.raw<{ rows: { column: string; sequence: string }[] }>(
    `select column_name as column, pg_get_serial_sequence(quote_ident(table_name), column_name) as sequence
       from information_schema.columns
      where table_schema = current_schema() and table_name = ?
        and pg_get_serial_sequence(quote_ident(table_name), column_name) is not null`,
    [table.name],
  )
  for (const { column, sequence } of rows)
    await db.raw(
      `select setval(?::regclass, coalesce(max(${quoted(column)}), 1), max(${quoted(column)}) is not null)
         from ${quoted(table.name)}`,
      [sequence],
    )
}
