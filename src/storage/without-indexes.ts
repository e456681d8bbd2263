import type { Client } from 'pg'

interface Definition {
  table: string
  name: string
  definition: string
}

/**
 * Runs `work` while the given tables have no indexes, keys and foreign keys, and makes them again after: many rows go
 * in several times faster, and every constraint is checked when it comes back. In one transaction, which holds the
 * tables exclusively: whatever fails, all is as it was.
 */
export async function withoutIndexes<Result>(
  client: Client,
  tables: readonly string[],
  work: () => Promise<Result>,
): Promise<Result> {
  const foreignKeys = await constraints(client, tables, ['f'])
  const keys = await constraints(client, tables, ['p', 'u'])
  const indexes = await plainIndexes(client, tables)
  for (const { table, name } of [...foreignKeys, ...keys])
    await client.query(`alter table ${table} drop constraint ${name}`)
  for (const { name } of indexes) await client.query(`drop index ${name}`)
  const result = await work()
  for (const { table, name, definition } of keys)
    await client.query(`alter table ${table} add constraint ${name} ${definition}`)
  for (const { definition } of indexes) await client.query(definition)
  for (const { table, name, definition } of foreignKeys)
    await client.query(`alter table ${table} add constraint ${name} ${definition}`)
  return result
}

/** Constraints of the tables, and of others that refer to them. */
async function constraints(
  client: Client,
  tables: readonly string[],
  types: string[],
): Promise<Definition[]> {
  const { rows } = await client.query<Definition>(
    `select conrelid::regclass::text as table, quote_ident(conname) as name, pg_get_constraintdef(oid) as definition
       from pg_constraint
      where contype = any($2::"char"[])
        and (conrelid = any($1::regclass[]) or (contype = 'f' and confrelid = any($1::regclass[])))
      order by conrelid::regclass::text, conname`,
    [tables, types],
  )
  return rows
}

/** Indexes that belong to no constraint. */
async function plainIndexes(client: Client, tables: readonly string[]): Promise<Definition[]> {
  const { rows } = await client.query<Definition>(
    `select indrelid::regclass::text as table, indexrelid::regclass::text as name,
            pg_get_indexdef(indexrelid) as definition
       from pg_index i
      where indrelid = any($1::regclass[])
        and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
      order by 1, 2`,
    [tables],
  )
  return rows
}
