import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { inject } from 'vitest'
import { databaseUri } from '../database-uri.ts'

export type Engine = 'PostgreSQL' | 'SQLite'

/** The database of a Synapse, to be filled by Synapse and looked at by the test. */
export interface OldDatabase {
  /** Synapse's `database` section. */
  section: { name: string; args: Record<string, string | number> }
  /** Runs statements that both engines understand. */
  run(sql: string): Promise<void>
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** Removes it. */
  close(): Promise<void>
}

/** @param file where a SQLite database goes */
export async function createOldDatabase(engine: Engine, file: string): Promise<OldDatabase> {
  return engine === 'SQLite' ? sqliteDatabase(file) : postgresDatabase()
}

function sqliteDatabase(file: string): OldDatabase {
  const open = <Result>(work: (database: DatabaseSync) => Result): Result => {
    const database = new DatabaseSync(file, { timeout: 10_000 })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  return {
    section: { name: 'sqlite3', args: { database: file } },
    run: async (sql) => open((database) => database.exec(sql)),
    rows: async (sql) => open((database) => database.prepare(sql).all()),
    close: async () => undefined,
  }
}

/** On the test's PostgreSQL, with the C collation that Synapse asks for. */
async function postgresDatabase(): Promise<OldDatabase> {
  const { serverUri } = inject('testDatabase')
  const name = `synapse_test_${randomBytes(8).toString('hex')}`
  await query(serverUri, `create database ${name} template template0 encoding 'UTF8' locale 'C'`)
  const uri = databaseUri(serverUri, name)
  const { host, port, user, password } = new pg.Client({ connectionString: uri })
  const args = { host, port, user: user ?? '', password: String(password ?? ''), dbname: name }
  return {
    section: { name: 'psycopg2', args: { ...args, cp_min: 1, cp_max: 5 } },
    run: async (sql) => void (await query(uri, sql)),
    rows: (sql) => query(uri, sql),
    close: async () => void (await query(serverUri, `drop database if exists ${name} with (force)`)),
  }
}

async function query(uri: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: uri })
  await client.connect()
  try {
    const result = await client.query(sql)
    return result.rows
  } finally {
    await client.end()
  }
}
