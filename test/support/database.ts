import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import pg from 'pg'
import { inject } from 'vitest'
import { clientConfigOf } from '../../src/storage/client-config.ts'
import { createPool } from '../../src/storage/pool.ts'
import { databaseUri } from './database-uri.ts'

/** A database for one test file or one test. */
export interface TestDatabase {
  uri: string
  clientConfig: pg.ClientConfig
  knex: Knex
  close(): Promise<void>
}

/** A fresh copy of the migrated template, in some milliseconds. `close` drops it, whoever is still connected. */
export async function createTestDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const { serverUri, template } = inject('testDatabase')
  const name = `postern_test_${randomBytes(8).toString('hex')}`
  await onServer(serverUri, `create database ${name} template ${empty ? 'template0' : template}`)
  const uri = databaseUri(serverUri, name)
  const clientConfig = clientConfigOf(uri)
  const knex = createPool(clientConfig, 10)
  return {
    uri,
    clientConfig,
    knex,
    async close() {
      await knex.destroy()
      await onServer(serverUri, `drop database if exists ${name} with (force)`)
    },
  }
}

async function onServer(uri: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: uri })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
