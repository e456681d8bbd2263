import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { createRelay, type Relay } from '../support/faults/relay.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'

// Time passes in earnest here: what is tested is how long things take.

const AWAY_MS = 10_000

let database: TestDatabase
let homeserver: FakeHomeserver
let relay: Relay
let service: Service
let apps: App[]

beforeAll(async () => {
  database = await createTestDatabase()
  homeserver = await startFakeHomeserver({ secret: SECRET })
  relay = await createRelay(database.uri)
  service = await createService({ homeserver: homeserver.url, databaseUri: relay.uri })
  await service.start()
  apps = await makeApps(database.knex, homeserver, 16)
})
afterAll(async () => {
  await service?.stop()
  await relay?.close()
  await homeserver?.stop()
  await database?.close()
  await removeFolder(service.folder)
})

const refreshed = () => total(apps).refreshed

for (const [what, away] of [
  ['breaks its connections', 'cut'],
  ['hangs in place of failing', 'freeze'],
] as const) {
  test(`check 72: a database that ${what} for ten seconds under load signs nobody out, and is used again by itself`, {
    timeout: 90_000,
  }, async () => {
    const { pid } = service.child
    const load = run(apps, () => service.url)
    await expect.poll(refreshed, { timeout: 10_000 }).toBeGreaterThan(apps.length * 2)

    relay[away]()
    const asked = performance.now()
    const waiting = apps.map(({ accessToken }) => seenByHomeserver(accessToken, service.url))
    const ready = await fetch(`${service.url}ready`)
    expect(ready.status).toBe(503)
    expect(ready.headers.get('retry-after')).not.toBeNull()
    expect((await fetch(`${service.url}health`)).status).toBe(200)
    for (const answer of await Promise.all(waiting)) expect(answer).toBeUndefined()
    // The homeserver gives up after its own time-out; an answer must be there before.
    expect(performance.now() - asked).toBeLessThan(9_000)
    await delay(Math.max(0, AWAY_MS - (performance.now() - asked)))
    relay.mend()

    const before = refreshed()
    await expect.poll(refreshed, { timeout: 15_000 }).toBeGreaterThan(before + apps.length * 2)
    await load.stop()
    expect(total(apps).signedOut).toEqual([])
    expect(total(apps).turnedAway).toBeGreaterThan(0)
    expect(apps.map(({ withoutRetryAfter }) => withoutRetryAfter)).toEqual(apps.map(() => 0))
    for (const { accessToken } of apps) expect(await seenByHomeserver(accessToken, service.url)).toBe(true)
    expect(service.child.pid).toBe(pid)
    expect(await database.knex('sessions').whereNotNull('ended_at')).toEqual([])
  })
}
