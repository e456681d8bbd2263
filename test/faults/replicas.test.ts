import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { type Balancer, startBalancer } from '../support/faults/balancer.ts'
import { makePeople } from '../support/faults/people.ts'
import { createService, makeFolder, removeFolder, SECRET, type Service } from '../support/faults/service.ts'
import { freePort } from '../support/free-port.ts'

// Three replicas on one PostgreSQL, behind a real nginx.

let database: TestDatabase
let homeserver: FakeHomeserver
let folder: string
let replicas: Service[]
let balancer: Balancer

beforeAll(async () => {
  database = await createTestDatabase({ empty: true })
  homeserver = await startFakeHomeserver({ secret: SECRET })
  folder = await makeFolder()
  const port = await freePort()
  replicas = await Promise.all(
    [0, 1, 2].map(() =>
      createService({
        homeserver: homeserver.url,
        databaseUri: database.uri,
        folder,
        publicUrl: `http://localhost:${port}/`,
        config: { limits: { sign_in_per_user: { points: 6, per_seconds: 600 } } },
      }),
    ),
  )
  // All at once, on a database that has nothing yet.
  await Promise.all(replicas.map((one) => one.start()))
  balancer = await startBalancer(
    port,
    replicas.map(({ url }) => url),
  )
})
afterAll(async () => {
  await balancer?.stop()
  for (const one of replicas ?? []) await one.stop()
  await homeserver?.stop()
  await database?.close()
  await removeFolder(folder)
})

test('migrations that all three start at once run once', async () => {
  const names: string[] = await database.knex('knex_migrations').pluck('name')
  expect(names.length).toBeGreaterThan(1)
  expect(new Set(names).size).toBe(names.length)
})

test('limits are counted together', async () => {
  const [name = ''] = await makePeople(database.knex, homeserver, 1)
  const wrong = (url: string) =>
    fetch(`${url}_matrix/client/v3/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'm.login.password', user: name, password: 'wrong' }),
    })
  const answers: number[] = []
  for (let turn = 0; turn < 9; turn++) answers.push((await wrong(replicas[turn % 3]?.url ?? '')).status)
  expect(answers).toEqual([403, 403, 403, 403, 403, 403, 429, 429, 429])
})

test('each job runs once', async () => {
  const apps = await makeApps(database.knex, homeserver, 30)
  const base = (turn: number) => replicas[turn % 3]?.url ?? ''
  for (const [turn, { refreshToken }] of apps.entries()) {
    const body = new URLSearchParams({ token: refreshToken })
    expect((await fetch(`${base(turn)}oauth2/revoke`, { method: 'POST', body })).status).toBe(200)
  }
  const open = async () =>
    (await database.knex('pgboss.job').whereNotIn('state', ['completed', 'cancelled'])).filter(
      ({ name }) => name === 'device.delete',
    ).length
  await expect.poll(open, { timeout: 30_000 }).toBe(0)
  for (const { localpart } of apps) {
    const calls = homeserver.calls.filter(
      ({ name, body }) => name === 'delete_device' && body.localpart === localpart,
    )
    expect(calls).toHaveLength(1)
    expect(homeserver.devices(localpart)).toEqual([])
  }
})

test('one that is killed under load breaks no chain of refreshes', { timeout: 90_000 }, async () => {
  const apps: App[] = await makeApps(database.knex, homeserver, 18)
  const load = run(apps, () => balancer.url)
  const refreshed = () => total(apps).refreshed
  for (const victim of replicas) {
    const start = refreshed()
    await expect.poll(refreshed, { timeout: 30_000 }).toBeGreaterThan(start + 100)
    await victim.stop('SIGKILL')
    const before = refreshed()
    await expect.poll(refreshed, { timeout: 30_000 }).toBeGreaterThan(before + 100)
    await victim.start()
  }
  await load.stop()
  expect(total(apps).signedOut).toEqual([])
  for (const { accessToken } of apps) {
    for (const { url } of replicas) expect(await seenByHomeserver(accessToken, url)).toBe(true)
  }
})
