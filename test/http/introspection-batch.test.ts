import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { fromUuid, newId } from '../../src/ids.ts'
import { createLookupBatch } from '../../src/oauth/introspection/batch.ts'
import { insertSession } from '../../src/sessions/start/store.ts'
import { markEnded } from '../../src/sessions/store.ts'
import { createBatch } from '../../src/storage/batch.ts'
import { hashSecret, hashSecretInHex } from '../../src/tokens/format.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const log = pino({ level: 'silent' })
const now = new Date()

/** Stands before the database and can keep its answers to itself for a while. */
async function startProxy({ uri, clientConfig }: TestDatabase) {
  const held: (() => void)[] = []
  const sockets: Socket[] = []
  let holding = false
  let answers = 0
  const { host, port } = new pg.Client({ connectionString: uri })
  const server = createServer((inside) => {
    const outside = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
    sockets.push(inside, outside)
    inside.pipe(outside)
    outside.on('data', (bytes) => {
      answers++
      if (holding) held.push(() => inside.write(bytes))
      else inside.write(bytes)
    })
    outside.on('end', () => inside.end())
    for (const socket of [inside, outside]) socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const here = new URL(uri)
  here.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  here.searchParams.delete('host')
  here.searchParams.delete('port')
  return {
    clientConfig: { ...clientConfig, connectionString: here.href },
    answers: () => answers,
    hold: () => {
      holding = true
    },
    release: () => {
      holding = false
      for (const send of held.splice(0)) send()
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function addSession(database: TestDatabase, token: string): Promise<string> {
  const id = newId(now)
  const session = {
    id,
    kind: 'oauth' as const,
    userId: null,
    clientId: 'someone',
    deviceId: null,
    scope: '',
    browserSessionId: null,
    createdAt: now,
    expiresAt: null,
    ip: null,
    userAgent: null,
    name: null,
  }
  const tokens = { accessHash: hashSecret(token), accessExpiresAt: null, refreshHash: null }
  await insertSession(database.knex, session, tokens)
  return id
}

test('invariant 5: a lookup does not join a query that was sent before it, not even for the same token', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  const id = await addSession(database, 'token')
  const proxy = await startProxy(database)
  const batch = createLookupBatch({ clientConfig: proxy.clientConfig, log })
  expect(await batch.lookUp(hashSecretInHex('token'))).toMatchObject({ sessionEnded: false })

  proxy.hold()
  const seen = proxy.answers()
  const before = batch.lookUp(hashSecretInHex('token'))
  // The database has answered; the answer is on its way for a long time.
  while (proxy.answers() === seen) await new Promise((resolve) => setImmediate(resolve))
  await markEnded(database.knex, id, 'signed_out', now)
  const after = batch.lookUp(hashSecretInHex('token'))
  proxy.release()
  expect(await before).toMatchObject({ sessionEnded: false })
  expect(await after).toMatchObject({ sessionEnded: true })
  await batch.close()
  proxy.close()
})

test('a thousand lookups at once each get the answer to their own question', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  const ids = new Map<string, string>()
  for (const token of ['a', 'b', 'c']) ids.set(token, await addSession(database, token))
  const batch = createLookupBatch({ clientConfig: database.clientConfig, log })
  const tokens = Array.from({ length: 1000 }, (_, n) => ['a', 'b', 'c', 'nobody'][n % 4] ?? '')
  const found = await Promise.all(tokens.map((token) => batch.lookUp(hashSecretInHex(token))))
  expect(found.map((one) => one && fromUuid(one.sessionUuid))).toEqual(tokens.map((token) => ids.get(token)))
  await batch.close()
})

/** A batch of numbers that are their own answers, and how many each of its queries had. */
function numberBatch(database: TestDatabase) {
  const sizes: number[] = []
  const { ask, close } = createBatch<number, number>({
    name: 'numbers',
    clientConfig: database.clientConfig,
    log,
    most: 256,
    query: async (client, items) => {
      await client.query('select 1')
      sizes.push(items.length)
      return items
    },
  })
  return { ask, close, sizes }
}

test('a batch takes along those who come while it is being made, and waits for nobody else', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  const { ask, close, sizes } = numberBatch(database)
  const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve))
  expect(await ask(0)).toBe(0)
  const asked = [ask(1), ask(2)]
  await turnOfTheLoop()
  asked.push(ask(3))
  await turnOfTheLoop()
  asked.push(ask(4))
  expect(await Promise.all(asked)).toEqual([1, 2, 3, 4])
  expect(sizes).toEqual([1, 4])
  await close()
})

test('more than one query can take are spread over several, and all are answered', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  const { ask, close, sizes } = numberBatch(database)
  const all = Array.from({ length: 600 }, (_, n) => n)
  expect(await Promise.all(all.map(ask))).toEqual(all)
  expect(sizes.sort()).toEqual([256, 256, 88])
  await close()
})

test('a lookup fails as unavailable when the database cannot be reached, and the next one works', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  await addSession(database, 'token')
  const proxy = await startProxy(database)
  const batch = createLookupBatch({ clientConfig: proxy.clientConfig, log })
  await batch.lookUp(hashSecretInHex('token'))
  expect(proxy.answers()).toBeGreaterThan(0)
  await database.knex.raw(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  )
  // Either it is noticed in time and a new connection made, or the lookup says that it may be tried again.
  await batch.lookUp(hashSecretInHex('token')).catch((error) => expect(error.status).toBe(503))
  expect(await batch.lookUp(hashSecretInHex('token'))).toMatchObject({ sessionEnded: false })
  await batch.close()
  proxy.close()
})
