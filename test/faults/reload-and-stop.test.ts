import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { spawnCommand } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, total } from '../support/faults/apps.ts'
import { makePeople, passwordSignIn } from '../support/faults/people.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'

let database: TestDatabase
let homeserver: FakeHomeserver
let service: Service
let apps: App[]
const many = { points: 100_000, per_seconds: 60 }

beforeAll(async () => {
  database = await createTestDatabase()
  homeserver = await startFakeHomeserver({ secret: SECRET })
  service = await createService({
    homeserver: homeserver.url,
    databaseUri: database.uri,
    config: {
      // A busy machine hashes slowly; what is cut off at the limit is another test's.
      http: { drain_limit: 100 },
      limits: { sign_in_per_address: many, sign_in_per_user: many },
    },
  })
  await service.start()
  apps = await makeApps(database.knex, homeserver, 8)
})
afterAll(async () => {
  await service?.stop()
  await homeserver?.stop()
  await database?.close()
  await removeFolder(service.folder)
})

test('reloads and a key rotation under load turn nobody away', async () => {
  const load = run(apps, () => service.url)
  const reloads = () => service.output().split('reload.done').length - 1
  for (let round = 1; round <= 10; round++) {
    const before = reloads()
    service.child.kill('SIGHUP')
    await expect.poll(reloads, { timeout: 20_000 }).toBeGreaterThan(before)
  }
  const command = (...args: string[]) =>
    spawnCommand(['--config', service.configFile, ...args], { cwd: service.folder })
  expect(await command('keys', 'rotate')).toMatchObject({ code: 0 })
  expect(await command('reload')).toMatchObject({ code: 0 })
  const before = total(apps).refreshed
  await expect.poll(() => total(apps).refreshed, { timeout: 20_000 }).toBeGreaterThan(before + 20)
  await load.stop()
  expect(total(apps)).toMatchObject({ signedOut: [], turnedAway: 0 })
})

test('check 72: a stop with forty sign-ins in flight answers all of them', async () => {
  const people = await makePeople(database.knex, homeserver, 40)
  const exit = once(service.child, 'exit')
  const answers = people.map((name) => passwordSignIn(service.url, name))
  // They were sent at once, and each takes a while: when the first is done, the others have arrived.
  await Promise.race(answers)
  service.child.kill('SIGTERM')
  const statuses = (await Promise.all(answers)).map((answer) => answer?.status)
  expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(1)
  expect((await exit)[0]).toBe(0)
  expect(await passwordSignIn(service.url, people[0] ?? '')).toBeUndefined()
})
