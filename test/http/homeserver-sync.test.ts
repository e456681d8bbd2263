import pino from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createHomeserver, type Homeserver } from '../../src/homeserver/client.ts'
import { deleteQueuedDevices, queueDeviceDeletion } from '../../src/homeserver/device-sync.ts'
import { homeserverJobHandlers } from '../../src/homeserver/job-handlers.ts'
import { provisionUser } from '../../src/homeserver/provisioning.ts'
import { announceDevice, bumpDeviceEpoch, withUserLock } from '../../src/homeserver/store.ts'
import { deleteUnclaimedDevices } from '../../src/homeserver/unclaimed-devices.ts'
import { newId } from '../../src/ids.ts'
import { createJobs, type Jobs } from '../../src/jobs/jobs.ts'
import { holdUserWithDevices, insertSession } from '../../src/sessions/start/store.ts'
import { markEnded } from '../../src/sessions/store.ts'
import { findUserById, insertUser, type UserChanges, updateUser } from '../../src/users/store.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { createStillClock } from '../support/still-clock.ts'

const log = pino({ level: 'silent' })
const clock = createStillClock()

let database: TestDatabase
let fake: FakeHomeserver
let homeserver: Homeserver
let jobs: Jobs

beforeEach(async () => {
  database = await createTestDatabase()
  fake = await startFakeHomeserver()
  homeserver = connect()
  jobs = createJobs({ database, log })
})

afterEach(async () => {
  await jobs.close()
  await fake.stop()
  await database.close()
})

function connect(timeoutSeconds = 5): Homeserver {
  return createHomeserver({
    endpoint: fake.url,
    secret: fake.secret,
    timeoutSeconds,
  })
}

function deps() {
  return { knex: database.knex, homeserver, clock, log, jobs }
}

async function makeUser(localpart: string, changes: UserChanges = {}): Promise<string> {
  const id = newId(clock.now())
  await insertUser(database.knex, { id, localpart, createdAt: clock.now() })
  await updateUser(database.knex, id, { isAdmin: false, ...changes })
  return id
}

async function makeSession(userId: string, deviceId: string): Promise<string> {
  const id = newId(clock.now())
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

const sync = (userId: string, erase?: boolean) =>
  homeserverJobHandlers(deps())['user.sync']?.({ userId, ...(erase === undefined ? {} : { erase }) })
const deleteDevice = (userId: string, deviceId: string) =>
  homeserverJobHandlers(deps())['device.delete']?.({ userId, deviceId })
const syncDevices = (userId: string) => homeserverJobHandlers(deps())['devices.sync']?.({ userId })

test('a user is provisioned once, with the lock that holds', async () => {
  const id = await makeUser('alice', { lockedAt: clock.now() })
  const user = await findUserById(database.knex, id)
  await provisionUser(deps(), user!)
  expect(fake.calls.map((call) => call.body)).toEqual([{ localpart: 'alice', locked: true }])
  const provisioned = await findUserById(database.knex, id)
  expect(provisioned?.provisionedAt).toEqual(clock.now())
  await provisionUser(deps(), provisioned!)
  expect(fake.calls).toHaveLength(1)
})

test('a user counts as provisioned only when the homeserver said so', async () => {
  const id = await makeUser('alice')
  fake.trouble({ status: 503 })
  const user = await findUserById(database.knex, id)
  await expect(provisionUser(deps(), user!)).rejects.toMatchObject({ code: 'homeserver_unavailable' })
  expect((await findUserById(database.knex, id))?.provisionedAt).toBeNull()
})

test('the homeserver follows a user who is locked and unlocked', async () => {
  const id = await makeUser('alice')
  for (const lockedAt of [clock.now(), null]) {
    await updateUser(database.knex, id, { lockedAt })
    await sync(id)
    expect(fake.user('alice')).toMatchObject({ locked: lockedAt !== null, deactivated: false })
  }
})

test('the homeserver follows a user who is deactivated, erased and reactivated', async () => {
  const id = await makeUser('alice')
  await sync(id)
  await updateUser(database.knex, id, { deactivatedAt: clock.now() })
  await sync(id)
  expect(fake.user('alice')).toMatchObject({ deactivated: true, erased: false })
  await sync(id, true)
  expect(fake.user('alice')).toMatchObject({ deactivated: true, erased: true })
  await updateUser(database.knex, id, { deactivatedAt: null })
  await sync(id)
  expect(fake.user('alice')).toMatchObject({ deactivated: false, locked: false })
})

test('a job that runs late goes by what is true now', async () => {
  const id = await makeUser('alice')
  await sync(id)
  await sync(id, true)
  expect(fake.user('alice')).toMatchObject({ deactivated: false, erased: false })
})

test('a user who was never provisioned is not deactivated there: the name may be someone else', async () => {
  fake.addUser('alice')
  const id = await makeUser('alice', { deactivatedAt: clock.now() })
  await sync(id)
  expect(fake.user('alice')?.deactivated).toBe(false)
})

test('a device whose session ended is deleted, and one that is held again is kept', async () => {
  const id = await makeUser('alice')
  await sync(id)
  for (const deviceId of ['ENDED', 'HELD']) await homeserver.upsertDevice({ localpart: 'alice', deviceId })
  await markEnded(database.knex, await makeSession(id, 'ENDED'), 'signed_out', clock.now())
  await markEnded(database.knex, await makeSession(id, 'HELD'), 'replaced', clock.now())
  await makeSession(id, 'HELD')
  for (const deviceId of ['ENDED', 'HELD', 'UNKNOWN']) await deleteDevice(id, deviceId)
  expect(fake.devices('alice')).toEqual(['HELD'])
})

test('the devices of a user become those of the live sessions', async () => {
  const id = await makeUser('alice')
  await sync(id)
  await homeserver.upsertDevice({ localpart: 'alice', deviceId: 'STALE' })
  await makeSession(id, 'ONE')
  await makeSession(id, 'TWO')
  await syncDevices(id)
  expect(fake.devices('alice')).toEqual(['ONE', 'TWO'])
})

test('the devices of an appservice user are left alone', async () => {
  const id = await makeUser('bridge-bob')
  await sync(id)
  await homeserver.upsertDevice({ localpart: 'bridge-bob', deviceId: 'BRIDGE' })
  fake.exclusive.add('bridge-bob')
  await syncDevices(id)
  expect(fake.devices('bridge-bob')).toEqual(['BRIDGE'])
})

test('invariant 2: a device is deleted at once after its session ended, and its job leaves the queue', async () => {
  const id = await makeUser('alice')
  await sync(id)
  await homeserver.upsertDevice({ localpart: 'alice', deviceId: 'DEVICE' })
  const deletion = await database.knex.transaction((trx) =>
    queueDeviceDeletion(jobs, trx, { userId: id, deviceId: 'DEVICE' }),
  )
  expect(fake.devices('alice')).toEqual(['DEVICE'])
  await deleteQueuedDevices(deps(), [deletion])
  expect(fake.devices('alice')).toEqual([])
  expect(await database.knex('pgboss.job').where({ id: deletion.jobId })).toEqual([])
})

test('invariant 2: when the homeserver is away the queue deletes the device as soon as it is back', async () => {
  const id = await makeUser('alice')
  await sync(id)
  await homeserver.upsertDevice({ localpart: 'alice', deviceId: 'DEVICE' })
  fake.trouble({ status: 503 })
  const deletion = await queueDeviceDeletion(jobs, database.knex, { userId: id, deviceId: 'DEVICE' })
  await deleteQueuedDevices(deps(), [deletion])
  expect(fake.devices('alice')).toEqual(['DEVICE'])
  fake.recover()
  const handlers = homeserverJobHandlers(deps())
  await new Promise<void>((resolve, reject) => {
    const handle = async (data: { userId: string; deviceId: string }) => {
      await handlers['device.delete']?.(data)
      resolve()
    }
    jobs.work({ 'device.delete': handle }).catch(reject)
  })
  expect(fake.devices('alice')).toEqual([])
})

const announce = (userId: string, deviceId: string) =>
  announceDevice(database.knex, { userId, deviceId, at: clock.now() })

test('invariant 6: a deletion counts for a sign-in that runs beside it, also when it timed out', async () => {
  const id = await makeUser('alice')
  await sync(id)
  const before = await announce(id, 'NEW')
  await deleteDevice(id, 'ONE')
  expect(await announce(id, 'NEW')).toBe(before + 1)
  homeserver = connect(0.1)
  fake.trouble('hang')
  await expect(deleteDevice(id, 'TWO')).rejects.toMatchObject({ code: 'homeserver_unavailable' })
  expect(await announce(id, 'NEW')).toBe(before + 2)
})

test('invariant 6: a device that no session claims within two minutes is queued to go, once', async () => {
  const id = await makeUser('alice')
  await jobs.prepare()
  await announce(id, 'CLAIMED')
  await announce(id, 'ABANDONED')
  await makeSession(id, 'CLAIMED')
  const queued = async () => {
    await deleteUnclaimedDevices(deps())
    const found: { data: { deviceId: string } }[] = await database.knex('pgboss.job').select('data')
    return found.map(({ data }) => data.deviceId)
  }
  clock.advance(119)
  expect(await queued()).toEqual([])
  clock.advance(2)
  expect(await queued()).toEqual(['ABANDONED'])
  expect(await queued()).toEqual(['ABANDONED'])
})

test('invariant 6: whoever holds the lock of a user runs alone, and other users are not held up', async () => {
  const [alice, bob] = [await makeUser('alice'), await makeUser('bob')]
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const first = withUserLock(database.knex, alice, async () => {
    entered.resolve()
    await gate.promise
    order.push('first')
  })
  await entered.promise
  const second = withUserLock(database.knex, alice, async () => {
    order.push('second')
  })
  await withUserLock(database.knex, bob, async () => {
    order.push('other user')
  })
  gate.resolve()
  await Promise.all([first, second])
  expect(order).toEqual(['other user', 'first', 'second'])
})

test('invariant 6: a sign-in that waited for the lock knows of the deletion that it waited for', async () => {
  const alice = await makeUser('alice')
  const announced = await announce(alice, 'NEW')
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const deletion = withUserLock(database.knex, alice, async (trx) => {
    entered.resolve()
    await gate.promise
    await bumpDeviceEpoch(trx, alice)
  })
  await entered.promise
  const held = database.knex.transaction((trx) => holdUserWithDevices(trx, alice))
  const waiting = `select 1 from pg_locks where locktype = 'advisory' and not granted`
  await expect.poll(async () => (await database.knex.raw(waiting)).rows.length).toBe(1)
  gate.resolve()
  await deletion
  expect((await held)?.deviceEpoch).toBe(announced + 1)
})

test('a homeserver that hangs leaves connections to the database for everyone else', async () => {
  const users = await Promise.all(Array.from({ length: 20 }, (_, index) => makeUser(`user${index}`)))
  homeserver = connect(1)
  fake.trouble('hang')
  const syncs = Promise.allSettled(users.map((id) => sync(id)))
  await vi.waitFor(() => expect(fake.calls.length).toBe(5), { timeout: 5_000 })
  await database.knex('users').first('id')
  fake.recover()
  await syncs
})

test('what the homeserver refuses is not repeated', async () => {
  const id = await makeUser('alice')
  fake.trouble({ status: 400, errcode: 'M_INVALID_USERNAME' })
  await sync(id)
})

test('a user who does not exist here is no error', async () => {
  await sync(newId(clock.now()))
  await deleteDevice(newId(clock.now()), 'DEVICE')
  expect(fake.calls).toEqual([])
})
