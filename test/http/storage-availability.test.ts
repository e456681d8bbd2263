import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import pino from 'pino'
import { type TestContext, test } from 'vitest'
import { isUnavailable, ready } from '../../src/storage/availability.ts'
import { type Database, openDatabase } from '../../src/storage/connection.ts'
import { createTestDatabase } from '../support/database.ts'

// Most of this is waiting for time limits, so it waits for all of them at once.

async function openAt(uri: string, { onTestFinished }: TestContext): Promise<Database> {
  const database = await openDatabase(
    { data_folder: '/nonexistent', database: { uri, max_connections: 2 } },
    { log: pino({ level: 'silent' }) },
  )
  onTestFinished(() => database.close())
  return database
}

async function openFresh(context: TestContext): Promise<Database> {
  const { uri, close } = await createTestDatabase({ empty: true })
  context.onTestFinished(close)
  return openAt(uri, context)
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}

test.concurrent('a database that is not there is unavailable', async (context) => {
  const { expect } = context
  const { knex } = await openAt('postgresql://postern:secret@127.0.0.1:1/postern', context)
  expect(isUnavailable(await failure(knex.raw('select 1')))).toBe(true)
  const socket = await openAt('postgresql:///postern?host=/nonexistent', context)
  expect(isUnavailable(await failure(socket.knex.raw('select 1')))).toBe(true)
})

test.concurrent('a database that accepts connections and says nothing is unavailable within seconds', async (context) => {
  const { expect, onTestFinished } = context
  const sockets: Socket[] = []
  const silent = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const database = await openAt(
    `postgresql://postern@127.0.0.1:${(silent.address() as AddressInfo).port}/postern`,
    context,
  )
  const started = performance.now()
  expect(await ready(database)).toBe(false)
  expect(performance.now() - started).toBeLessThan(3_000)
  expect(isUnavailable(await failure(database.knex.raw('select 1')))).toBe(true)
  expect(performance.now() - started).toBeLessThan(12_000)
})

test.concurrent('a statement that takes too long is unavailable, and the connection works again', async (context) => {
  const { expect } = context
  const { knex } = await openFresh(context)
  expect(isUnavailable(await failure(knex.raw('select pg_sleep(60)')))).toBe(true)
  expect((await knex.raw('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test.concurrent('a connection that falls silent in a statement is given up, and the next one works', async (context) => {
  const { expect, onTestFinished } = context
  const { knex } = await openFresh(context)
  const { rows } = await knex.raw<{ rows: { pid: number }[] }>('select pg_backend_pid() as pid')
  const { pid } = rows[0]!
  process.kill(pid, 'SIGSTOP')
  onTestFinished(() => void process.kill(pid, 'SIGCONT'))
  expect(isUnavailable(await failure(knex.raw('select 1')))).toBe(true)
  expect((await knex.raw('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test.concurrent('too few connections is unavailable', async (context) => {
  const { expect } = context
  const { knex } = await openFresh(context)
  const taken = await Promise.all([knex.transaction(), knex.transaction()])
  expect(isUnavailable(await failure(knex.raw('select 1')))).toBe(true)
  await Promise.all(taken.map((transaction) => transaction.rollback()))
})

test.concurrent('a session that the server ended is unavailable', async (context) => {
  const { expect } = context
  const { knex } = await openFresh(context)
  expect(isUnavailable(await failure(knex.raw('select pg_terminate_backend(pg_backend_pid())')))).toBe(true)
})

test.concurrent('a mistake in a statement is a mistake', async (context) => {
  const { expect } = context
  const { knex } = await openFresh(context)
  expect(isUnavailable(await failure(knex.raw('select nonsense')))).toBe(false)
  expect(isUnavailable(new Error('timeout'))).toBe(false)
  expect(isUnavailable(undefined)).toBe(false)
})
