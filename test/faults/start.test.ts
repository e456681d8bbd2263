import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { createTestDatabase } from '../support/database.ts'
import { createRelay } from '../support/faults/relay.ts'
import { createService, makeFolder, type ServiceOptions } from '../support/faults/service.ts'
import { mayMount, mountSmallDisk } from '../support/faults/small-disk.ts'

const run = promisify(execFile)
const NOBODY = 65_534
const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function configFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-config-'))
  cleanUps.push(() => rm(folder, { recursive: true }))
  await chmod(folder, 0o755)
  return folder
}

/** Starts what cannot start and gives what the operator reads. */
async function refusal(options: Partial<ServiceOptions>): Promise<string> {
  const service = await createService({ homeserver: 'http://127.0.0.1:1/', ...options })
  expect(await service.startInVain()).toBe(1)
  const lines = service.output().trim().split('\n')
  expect(service.output()).not.toMatch(/^\s+at /m)
  return lines.at(-1) ?? ''
}

test.runIf(mayMount)(
  'a data folder that is read-only is named, also where a database is there already',
  async () => {
    const disk = await mountSmallDisk(256)
    cleanUps.push(() => disk.unmount())
    const own = await configFolder()
    await run('mount', ['-o', 'remount,ro', disk.folder])
    const first = await refusal({ folder: disk.folder, configFolder: own })
    expect(first).toContain(join(disk.folder, 'data'))
    expect(first).toMatch(/EROFS|read-only/)
    expect(await readdir(disk.folder)).toEqual([])

    await run('mount', ['-o', 'remount,rw', disk.folder])
    const service = await createService({
      homeserver: 'http://127.0.0.1:1/',
      folder: disk.folder,
      configFolder: own,
    })
    await service.start()
    await service.stop()
    await run('mount', ['-o', 'remount,ro', disk.folder])
    const again = await refusal({ folder: disk.folder, configFolder: own })
    expect(again).toContain(disk.folder)
    expect(again).toMatch(/EROFS|read-only|Read-only/)

    await run('mount', ['-o', 'remount,rw', disk.folder])
    await service.start()
    await service.stop()
  },
)

test.runIf(mayMount)(
  'a first start on a disk that is too small says so, and leaves no half of a database',
  async () => {
    const disk = await mountSmallDisk(16)
    cleanUps.push(() => disk.unmount())
    const own = await configFolder()
    const said = await refusal({ folder: disk.folder, configFolder: own })
    expect(said).toMatch(/No space left on device|ENOSPC/)
    const made = await readdir(join(disk.folder, 'data', 'postgres')).catch(() => [])
    expect(made.filter((name) => name.startsWith('cluster'))).toEqual([])
  },
)

test.runIf(mayMount)(
  'a signing key that cannot be read stops the start, names the file and changes nothing',
  async () => {
    const database = await createTestDatabase()
    cleanUps.push(() => database.close())
    // Over TCP: the tests' socket lies where that account may not go.
    const relay = await createRelay(database.uri)
    cleanUps.push(() => relay.close())
    const folder = await makeFolder()
    cleanUps.push(() => rm(folder, { recursive: true }))
    const own = await configFolder()
    await mkdir(join(folder, 'data'))
    await chown(folder, NOBODY, NOBODY)
    await chown(join(folder, 'data'), NOBODY, NOBODY)
    const options = { folder, configFolder: own, databaseUri: relay.uri, uid: NOBODY }
    const service = await createService({ homeserver: 'http://127.0.0.1:1/', ...options })
    await service.start()
    await service.stop()

    const keys = join(folder, 'data', 'keys')
    const [name = ''] = (await readdir(keys)).filter((file) => file.endsWith('.pem'))
    const path = join(keys, name)
    const before = await readFile(path, 'utf8')
    await chown(path, 0, 0)
    const said = await refusal(options)
    expect(said).toContain(path)
    expect(said).toContain('EACCES')
    expect(await readFile(path, 'utf8')).toBe(before)
  },
)
