import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/storage/connection.ts'
import { spawnCommand } from '../support/command.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { createService, SECRET, type Service } from '../support/faults/service.ts'
import { mayMount, mountSmallDisk, type SmallDisk } from '../support/faults/small-disk.ts'

let disk: SmallDisk
let homeserver: FakeHomeserver
let service: Service
let apps: App[]

beforeAll(async () => {
  if (!mayMount) return
  disk = await mountSmallDisk(256)
  homeserver = await startFakeHomeserver({ secret: SECRET })
  service = await createService({ homeserver: homeserver.url, folder: disk.folder })
  await service.start()
  const config = {
    data_folder: join(service.folder, 'data'),
    database: { uri: undefined, max_connections: 2 },
  }
  const database = await openDatabase(config, { log: pino({ level: 'silent' }) })
  apps = await makeApps(database.knex, homeserver, 8)
  await database.close()
})
afterAll(async () => {
  await service?.stop()
  await homeserver?.stop()
  await disk?.unmount()
})

test.runIf(mayMount)(
  'check 72: a full disk under the embedded database signs nobody out, is logged, and is no matter once there is room',
  {
    timeout: 120_000,
  },
  async () => {
    const load = run(apps, () => service.url)
    await expect.poll(() => total(apps).refreshed, { timeout: 20_000 }).toBeGreaterThan(50)
    await disk.fill()
    const turnedAway = () => total(apps).turnedAway
    const before = turnedAway()
    await expect.poll(turnedAway, { timeout: 60_000 }).toBeGreaterThan(before + 20)
    expect(total(apps).signedOut).toEqual([])
    expect(service.output()).toMatch(/No space left on device/)

    await disk.free()
    const refreshed = total(apps).refreshed
    await expect.poll(() => total(apps).refreshed, { timeout: 60_000 }).toBeGreaterThan(refreshed + 50)
    await load.stop()
    expect(total(apps).signedOut).toEqual([])
    expect(apps.map(({ withoutRetryAfter }) => withoutRetryAfter)).toEqual(apps.map(() => 0))
    for (const { accessToken } of apps) expect(await seenByHomeserver(accessToken, service.url)).toBe(true)
  },
)

test.runIf(mayMount)('a backup that does not fit on its disk leaves no file, and says why', async () => {
  const small = await mountSmallDisk(1)
  try {
    await small.fill()
    const path = join(small.folder, 'backup.gz')
    const args = ['--config', service.configFile, 'database', 'backup', path]
    const { code, err } = await spawnCommand(args, { cwd: service.folder })
    expect(code).toBe(1)
    expect(err).toMatch(/backup\.gz cannot be written \(ENOSPC\)/)
    expect(await readdir(small.folder)).toEqual(['filler'])
  } finally {
    await small.unmount()
  }
})
