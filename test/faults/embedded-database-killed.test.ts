import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/storage/connection.ts'
import { postgresPid } from '../support/embedded.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { makePeople, passwordSignIn } from '../support/faults/people.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'

let homeserver: FakeHomeserver
let service: Service
let apps: App[]
let people: string[]
const many = { points: 1_000_000, per_seconds: 60 }

beforeAll(async () => {
  homeserver = await startFakeHomeserver({ secret: SECRET })
  service = await createService({
    homeserver: homeserver.url,
    config: { limits: { sign_in_per_address: many, sign_in_per_user: many } },
  })
  await service.start()
  const config = {
    data_folder: join(service.folder, 'data'),
    database: { uri: undefined, max_connections: 2 },
  }
  const database = await openDatabase(config, { log: pino({ level: 'silent' }) })
  apps = await makeApps(database.knex, homeserver, 12)
  people = await makePeople(database.knex, homeserver, 4)
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

test('check 72: one process of the embedded database that is killed takes nobody along', async () => {
  const folder = join(service.folder, 'data')
  const postmaster = await postgresPid(folder)
  const load = run(apps, () => service.url)
  let going = true
  const refused: unknown[] = []
  const coming = people.map(async (name) => {
    while (going) {
      const answer = await passwordSignIn(service.url, name)
      if (answer && answer.status !== 200 && answer.status !== 503) refused.push(answer)
    }
  })
  for (let kill = 0; kill < 3; kill++) {
    const before = total(apps).refreshed
    await expect.poll(() => total(apps).refreshed, { timeout: 30_000 }).toBeGreaterThan(before + 50)
    process.kill(await backendPid(postmaster ?? 0), 'SIGKILL')
  }
  const before = total(apps).refreshed
  await expect.poll(() => total(apps).refreshed, { timeout: 30_000 }).toBeGreaterThan(before + 50)
  await load.stop()
  going = false
  await Promise.all(coming)
  expect(refused).toEqual([])
  expect(total(apps).signedOut).toEqual([])
  expect(apps.map(({ withoutRetryAfter }) => withoutRetryAfter)).toEqual(apps.map(() => 0))
  for (const { accessToken } of apps) expect(await seenByHomeserver(accessToken, service.url)).toBe(true)
  // PostgreSQL mends itself; nobody started it anew.
  expect(await postgresPid(folder)).toBe(postmaster)
})

/** A process of PostgreSQL that serves a connection. */
async function backendPid(postmaster: number): Promise<number> {
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
  for (const pid of children.trim().split(' ').reverse()) {
    const title = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (title.startsWith('postgres: postern ')) return Number(pid)
  }
  throw new Error('No process of PostgreSQL serves a connection')
}
