import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import pino from 'pino'
import { prepareJobs } from '../../../src/jobs/jobs.ts'
import { clientConfigOf } from '../../../src/storage/client-config.ts'
import { migrate } from '../../../src/storage/migrate.ts'
import { createPool } from '../../../src/storage/pool.ts'
import { hashArgon2 } from '../../../src/users/password-schemes.ts'
import { databaseUri } from '../../support/database-uri.ts'
import { SERVICE_CORE } from './pinning.ts'
import { run } from './process.ts'
import { fill, PASSWORD } from './store.ts'

/** A PostgreSQL server on which databases are made that go away with it. */
export interface DatabaseServer {
  /** A database with the schema and that many tokens; made at the first call. */
  filled(tokens: number): Promise<string>
  version(): Promise<string>
  close(): Promise<void>
}

/** The server at `DATABASE_URL`, which nobody pins; otherwise the embedded one, in a folder of its own. */
export async function openDatabaseServer(): Promise<DatabaseServer> {
  const { DATABASE_URL } = process.env
  const own = DATABASE_URL === undefined ? await startOwn() : undefined
  const serverUri = DATABASE_URL ?? own?.uri ?? ''
  const made = new Map<number, Promise<string>>()

  async function make(tokens: number): Promise<string> {
    const name = `postern_bench_${process.pid}_${tokens}`
    await onServer(serverUri, (client) => client.query(`create database ${name}`))
    const uri = databaseUri(serverUri, name)
    const knex = createPool(clientConfigOf(uri), 4)
    await migrate(knex)
    await prepareJobs({ knex }, pino({ level: 'warn' }))
    await knex.destroy()
    const passwordHash = await hashArgon2(Buffer.from(PASSWORD))
    await onServer(uri, (client) => fill(client, tokens, passwordHash))
    return uri
  }

  return {
    filled(tokens) {
      const uri = made.get(tokens) ?? make(tokens)
      made.set(tokens, uri)
      return uri
    },
    version: () =>
      onServer(serverUri, async (client) => {
        const { rows } = await client.query<{ server_version: string }>('show server_version')
        return `${rows[0]?.server_version}${own ? ', embedded' : ''}`
      }),
    async close() {
      if (own) return own.close()
      for (const uri of await Promise.all(made.values())) {
        const name = new URL(uri).pathname.slice(1)
        await onServer(serverUri, (client) => client.query(`drop database ${name} with (force)`))
      }
    },
  }
}

async function startOwn(): Promise<{ uri: string; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
  // As root PostgreSQL runs under another account, which has to get in.
  await chmod(folder, 0o711)
  const server = run(SERVICE_CORE, [join(import.meta.dirname, 'database-process.ts'), folder])
  return {
    uri: await server.firstLine,
    async close() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function onServer<T>(uri: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: uri })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
