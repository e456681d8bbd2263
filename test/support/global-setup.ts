import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import pino from 'pino'
import type { TestProject } from 'vitest/node'
import { prepareJobs } from '../../src/jobs/jobs.ts'
import { clientConfigOf } from '../../src/storage/client-config.ts'
import { openEmbedded } from '../../src/storage/embedded/server.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { createPool } from '../../src/storage/pool.ts'
import { databaseUri } from './database-uri.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The server that test databases are made on, and the database that they are copies of. */
    testDatabase: { serverUri: string; template: string }
  }
}

/** Data that is gone after the run needs no care: no waiting for the disk. */
const throwaway = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  max_connections: '200',
}

/** One PostgreSQL for the run (the one at DATABASE_URL, or an embedded one), with a migrated template database. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = pino({ level: 'warn' })
  const server = await startServer(log)
  const template = `postern_template_${randomBytes(6).toString('hex')}`
  await onServer(server.uri, `create database ${template}`)
  const knex = createPool(clientConfigOf(databaseUri(server.uri, template)), 4)
  try {
    await migrate(knex)
    await prepareJobs({ knex }, log)
  } finally {
    await knex.destroy()
  }
  project.provide('testDatabase', { serverUri: server.uri, template })
  return async () => {
    await onServer(server.uri, `drop database ${template} with (force)`)
    await server.close()
  }
}

async function startServer(log: pino.Logger): Promise<{ uri: string; close(): Promise<void> }> {
  const { DATABASE_URL } = process.env
  if (DATABASE_URL) return { uri: DATABASE_URL, close: async () => undefined }
  const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
  // As root PostgreSQL runs under another account, which has to get in.
  await chmod(folder, 0o711)
  const server = await openEmbedded(folder, { log, settings: throwaway })
  const { host, user, password, database } = server.clientConfig
  const query = new URLSearchParams({ host: String(host), user: String(user), password: String(password) })
  return {
    uri: `postgresql:///${database}?${query}`,
    async close() {
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function onServer(uri: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: uri })
  await client.connect()
  await client.query(sql)
  await client.end()
}
