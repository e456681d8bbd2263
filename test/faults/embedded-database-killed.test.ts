import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/storage/connection.ts'
import { postgresPid } from '../support/embedded.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'

let homeserver: FakeHomeserver
let service: Service
let apps: App[]

beforeAll(async () => {
  homeserver = await startFakeHomeserver({ secret: SECRET })
  service = await createService({ homeserver: homeserver.url })
  await service.start()
  const config = {
    data_folder: join(service.folder, 'data'),
    database: { uri: undefined, max_connections: 2 },
  }
  const database = await openDatabase(config, { log: pino({ level: 'silent' }) })
  apps = await makeApps(database.knex, homeserver, 12)
  await database.close()
})
afterAll(async () => {
  await service?.stop()
  await homeserver?.stop()
  await removeFolder(service.folder)
})

test('check 72: an embedded database that is killed under load comes back by itself, and nobody is signed out', async () => {
  const folder = join(service.folder, 'data')
  const load = run(apps, () => service.url)
  for (let kill = 0; kill < 3; kill++) {
    const before = total(apps).refreshed
    await expect.poll(() => total(apps).refreshed, { timeout: 30_000 }).toBeGreaterThan(before + 50)
    const pid = await postgresPid(folder)
    process.kill(pid ?? 0, 'SIGKILL')
    await expect.poll(() => postgresPid(folder), { timeout: 30_000 }).not.toBe(pid)
  }
  const before = total(apps).refreshed
  await expect.poll(() => total(apps).refreshed, { timeout: 30_000 }).toBeGreaterThan(before + 50)
  await load.stop()
  expect(total(apps).signedOut).toEqual([])
  expect(total(apps).turnedAway).toBeGreaterThan(0)
  expect(apps.map(({ withoutRetryAfter }) => withoutRetryAfter)).toEqual(apps.map(() => 0))
  for (const { accessToken } of apps) expect(await seenByHomeserver(accessToken, service.url)).toBe(true)
})
