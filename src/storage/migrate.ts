import { readdir } from 'node:fs/promises'
import type { Knex } from 'knex'
import knexFactory from 'knex'
import pg from 'pg'
import { advisoryLocks } from './advisory-locks.ts'
import { StorageError } from './storage-error.ts'

/** `/migrations` of a clone (TypeScript) and of the published package (JavaScript): both lie two folders up. */
const migrationsFolder = new URL('../../migrations/', import.meta.url)

interface MigrationFile {
  /** The file's name without extension, so that a clone and the package agree on what has run. */
  name: string
  file: string
}

/** Reads the migrations beside this code, in the order of their names. */
async function migrationFiles(): Promise<MigrationFile[]> {
  const files = await readdir(migrationsFolder)
  return files
    .filter((file) => /^\d{4}_\w+\.(ts|js)$/.test(file))
    .map((file) => ({ name: file.replace(/\.(ts|js)$/, ''), file }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

const migrationSource: Knex.MigrationSource<MigrationFile> = {
  getMigrations: migrationFiles,
  getMigrationName: ({ name }) => name,
  getMigration: ({ file }) => import(new URL(file, migrationsFolder).href) as Promise<Knex.Migration>,
}

/** The names of the migrations that made the database what it is. */
export async function appliedMigrations(knex: Knex): Promise<Set<string>> {
  const { rows: tables } = await knex.raw<{ rows: { found: boolean }[] }>(
    `select to_regclass('knex_migrations') is not null as found`,
  )
  if (!tables[0]?.found) return new Set()
  const rows = await knex<{ name: string }>('knex_migrations').select('name')
  return new Set(rows.map(({ name }) => name))
}

/** The names of the migrations that this version has and the database has not. Changes nothing. */
export async function pendingMigrations(knex: Knex): Promise<string[]> {
  const applied = await appliedMigrations(knex)
  const files = await migrationFiles()
  return files.map(({ name }) => name).filter((name) => !applied.has(name))
}

/**
 * Brings the database to this version's schema and returns the names of the migrations that it ran.
 *
 * Each migration has its own transaction. Any number of processes may call this at once: an advisory lock lets
 * one through after the other, and, unlike knex's lock table, goes away with the process that held it.
 * Throws a StorageError where the database belongs to a newer version.
 * @param options.exactly stops at the schema that these migrations make, which is an archive's
 */
export async function migrate(knex: Knex, { exactly }: { exactly?: string[] } = {}): Promise<string[]> {
  // Connections of its own: migrations may take longer than the pool lets a statement run.
  const connection = { ...connectionOf(knex), statement_timeout: 0 }
  const lock = new pg.Client(connection)
  lock.on('error', () => undefined)
  const migrator = knexFactory({
    client: 'pg',
    connection: { ...connection } as Knex.PgConnectionConfig,
    pool: { min: 0, max: 2 },
  })
  try {
    await lock.connect()
    await lock.query('select pg_advisory_lock($1, $2)', [...advisoryLocks.migrations])
    return await (exactly ? runExactly(migrator, exactly) : runPending(migrator))
  } finally {
    await migrator.destroy()
    await lock.end()
  }
}

/** knex hides the password from copies of its settings. */
function connectionOf(knex: Knex): pg.ClientConfig {
  const connection = knex.client.config.connection as pg.ClientConfig
  return connection.password === undefined
    ? { ...connection }
    : { ...connection, password: connection.password }
}

async function runExactly(knex: Knex, wanted: string[]): Promise<string[]> {
  const known = new Set((await migrationFiles()).map(({ name }) => name))
  const unknown = wanted.filter((name) => !known.has(name))
  if (unknown.length > 0)
    throw new StorageError(
      `The backup belongs to a newer version of Postern (it has ${unknown.join(', ')}): install that version`,
    )
  const applied = await appliedMigrations(knex)
  const beyond = [...applied].filter((name) => !wanted.includes(name))
  if (beyond.length > 0)
    throw new StorageError(
      `The database is newer than the backup (it has ${beyond.join(', ')}): restore into one that no server was started on`,
    )
  const pending = wanted.filter((name) => !applied.has(name)).sort()
  for (const name of pending) {
    const config = { migrationSource, tableName: 'knex_migrations', name }
    await knex.migrate.forceFreeMigrationsLock(config)
    await knex.migrate.up(config)
  }
  return pending
}

async function runPending(knex: Knex): Promise<string[]> {
  const known = new Set((await migrationFiles()).map(({ name }) => name))
  const unknown = [...(await appliedMigrations(knex))].filter((name) => !known.has(name))
  if (unknown.length > 0) {
    throw new StorageError(
      `The database belongs to a newer version of Postern (it has ${unknown.join(', ')}): install that version, or restore a backup`,
    )
  }
  const pending = await pendingMigrations(knex)
  if (pending.length === 0) return []
  const config = { migrationSource, tableName: 'knex_migrations' }
  // A process that was killed leaves knex's own lock taken; the advisory lock is the one that counts.
  await knex.migrate.forceFreeMigrationsLock(config)
  for (const _ of pending) await knex.migrate.up(config)
  return pending
}
