import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { makePeople, passwordSignIn, signOut } from '../support/faults/people.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'
import { takeBackUnclaimedDevices } from '../support/unclaimed-devices.ts'

const KILLS = 6

let database: TestDatabase
let homeserver: FakeHomeserver
let service: Service
let apps: App[]
let people: string[]

beforeAll(async () => {
  database = await createTestDatabase()
  homeserver = await startFakeHomeserver({ secret: SECRET })
  service = await createService({ homeserver: homeserver.url, databaseUri: database.uri })
  await service.start()
  apps = await makeApps(database.knex, homeserver, 12)
  people = await makePeople(database.knex, homeserver, 4)
})
afterAll(async () => {
  await service?.stop()
  await homeserver?.stop()
  await database?.close()
  await removeFolder(service.folder)
})

/** Somebody signs in and out again and again, and tries again whatever was interrupted. */
function comeAndGo(name: string): { stop(): Promise<void>; refused: string[]; rounds: () => number } {
  let going = true
  let rounds = 0
  const refused: string[] = []
  const loop = (async () => {
    while (going) {
      const signedIn = await passwordSignIn(service.url, name)
      if (signedIn && signedIn.status !== 200 && signedIn.status < 500)
        refused.push(signedIn.body.errcode ?? '')
      const token = signedIn?.body.access_token
      if (!token) continue
      for (;;) {
        const out = await signOut(service.url, token)
        // An answer that was lost: the token is gone by now.
        if (out?.status === 200 || out?.status === 401) break
      }
      rounds++
    }
  })()
  return {
    refused,
    rounds: () => rounds,
    async stop() {
      going = false
      await loop
    },
  }
}

async function heldDevices(localpart: string): Promise<string[]> {
  const held: string[] = await database
    .knex('sessions')
    .join('users', 'users.id', 'sessions.user_id')
    .where({ localpart })
    .whereNull('ended_at')
    .pluck('device_id')
  return held.sort()
}

test('check 72: a service that is killed in the middle of refreshes and sign-ins loses no session, device or job', {
  timeout: 120_000,
}, async () => {
  const load = run(apps, () => service.url)
  const coming = people.map(comeAndGo)
  const busy = () => Math.min(total(apps).refreshed, ...coming.map(({ rounds }) => rounds()))
  for (let kill = 0; kill < KILLS; kill++) {
    const before = busy()
    await expect.poll(busy, { timeout: 20_000 }).toBeGreaterThan(before + 1)
    // Any moment will do, as long as it is not always the same.
    await delay(kill * 7)
    await service.stop('SIGKILL')
    await service.start()
  }
  await load.stop()
  for (const one of coming) {
    await one.stop()
    expect(one.refused).toEqual([])
  }

  expect(total(apps).signedOut).toEqual([])
  expect(total(apps).turnedAway).toBeGreaterThan(KILLS)
  for (const { accessToken } of apps) expect(await seenByHomeserver(accessToken, service.url)).toBe(true)

  // A sign-in that was cut off left its device, which is taken back some minutes later: make it now.
  await takeBackUnclaimedDevices(database.knex)
  for (const name of [...people, ...apps.map(({ localpart }) => localpart)]) {
    await expect.poll(() => homeserver.devices(name), { timeout: 60_000 }).toEqual(await heldDevices(name))
  }
  const open = async () =>
    (await database.knex('pgboss.job').where({ name: 'device.delete' }).whereNot({ state: 'completed' }))
      .length
  await expect.poll(open, { timeout: 60_000 }).toBe(0)
})
