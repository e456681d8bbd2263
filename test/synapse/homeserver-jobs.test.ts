import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHomeserver, type Homeserver } from '../../src/homeserver/client.ts'
import { homeserverJobHandlers } from '../../src/homeserver/job-handlers.ts'
import { newId } from '../../src/ids.ts'
import { insertSession } from '../../src/sessions/start/store.ts'
import { markEnded } from '../../src/sessions/store.ts'
import { insertUser, updateUser } from '../../src/users/store.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createStillClock } from '../support/still-clock.ts'
import { type RunningSynapse, startSynapse } from '../support/synapse.ts'

const secret = 'the-shared-secret-of-the-tests'
const clock = createStillClock()

let synapse: RunningSynapse
let database: TestDatabase
let homeserver: Homeserver
let handlers: ReturnType<typeof homeserverJobHandlers>

beforeAll(async () => {
  synapse = await startSynapse({ delegated: { endpoint: 'http://127.0.0.1:9/', secret } })
  database = await createTestDatabase()
  homeserver = createHomeserver({
    endpoint: synapse.url,
    secret,
    timeoutSeconds: 20,
  })
  handlers = homeserverJobHandlers({
    knex: database.knex,
    homeserver,
    clock,
    log: pino({ level: 'silent' }),
  })
})

afterAll(async () => {
  await database?.close()
  await synapse?.stop()
})

/** Synapse's own tables, because none of its answers tells whether a user is locked. */
function inSynapse(sql: string, ...values: string[]): Record<string, unknown>[] {
  const sqlite = new DatabaseSync(join(synapse.dataFolder, 'homeserver.db'), {
    readOnly: true,
    timeout: 5_000,
  })
  try {
    return sqlite.prepare(sql).all(...values)
  } finally {
    sqlite.close()
  }
}

const userInSynapse = (localpart: string) =>
  inSynapse('select locked, deactivated from users where name = ?', `@${localpart}:localhost`)[0]

const devicesInSynapse = (localpart: string) =>
  inSynapse(
    'select device_id from devices where user_id = ? and not hidden order by device_id',
    `@${localpart}:localhost`,
  ).map((row) => row.device_id)

async function makeUser(localpart: string): Promise<string> {
  const id = newId(clock.now())
  await insertUser(database.knex, { id, localpart, createdAt: clock.now() })
  await handlers['user.sync']?.({ userId: id })
  return id
}

async function makeSession(userId: string, localpart: string, deviceId: string): Promise<string> {
  const id = newId(clock.now())
  await homeserver.upsertDevice({ localpart, deviceId })
  await insertSession(database.knex, {
    id,
    kind: 'oauth',
    userId,
    clientId: null,
    deviceId,
    scope: 'openid',
    browserSessionId: null,
    createdAt: clock.now(),
    expiresAt: null,
    ip: null,
    userAgent: null,
    name: null,
  })
  return id
}

test('Synapse follows a user who is locked and unlocked', async () => {
  const userId = await makeUser('locky')
  for (const lockedAt of [clock.now(), null]) {
    await updateUser(database.knex, userId, { lockedAt })
    await handlers['user.sync']?.({ userId })
    expect(Boolean(userInSynapse('locky')?.locked)).toBe(lockedAt !== null)
  }
})

test('Synapse follows a user who is deactivated, erased and reactivated', async () => {
  const userId = await makeUser('leaver')
  await makeSession(userId, 'leaver', 'DEVICE')
  await updateUser(database.knex, userId, { deactivatedAt: clock.now() })
  await handlers['user.sync']?.({ userId })
  expect(userInSynapse('leaver')?.deactivated).toBe(1)
  expect(devicesInSynapse('leaver')).toEqual([])
  await handlers['user.sync']?.({ userId, erase: true })
  expect(inSynapse('select user_id from erased_users')).toEqual([{ user_id: '@leaver:localhost' }])
  await updateUser(database.knex, userId, { deactivatedAt: null, lockedAt: clock.now() })
  await handlers['user.sync']?.({ userId })
  expect(userInSynapse('leaver')).toEqual({ deactivated: 0, locked: 1 })
  expect(inSynapse('select user_id from erased_users')).toEqual([])
})

test('Synapse loses the device of an ended session and keeps one that is held', async () => {
  const userId = await makeUser('devices')
  await makeSession(userId, 'devices', 'HELD')
  await markEnded(database.knex, await makeSession(userId, 'devices', 'ENDED'), 'signed_out', clock.now())
  for (const deviceId of ['HELD', 'ENDED']) await handlers['device.delete']?.({ userId, deviceId })
  expect(devicesInSynapse('devices')).toEqual(['HELD'])
})

test('Synapse gets the devices of all live sessions and loses the others', async () => {
  const userId = await makeUser('syncer')
  await makeSession(userId, 'syncer', 'ONE')
  await makeSession(userId, 'syncer', 'TWO')
  await homeserver.deleteDevice('syncer', 'TWO')
  await homeserver.upsertDevice({ localpart: 'syncer', deviceId: 'STALE' })
  await handlers['devices.sync']?.({ userId })
  expect(devicesInSynapse('syncer')).toEqual(['ONE', 'TWO'])
})
