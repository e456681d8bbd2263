import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { migrate, pendingMigrations } from '../../src/storage/migrate.ts'
import { spawnCommand } from '../support/command.ts'
import { matrix, passwordLogin } from '../support/compat.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { seenByHomeserver } from '../support/faults/apps.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'
import { refresh } from '../support/oauth.ts'
import type { TestPostern } from '../support/postern.ts'
import type { Fixture } from '../support/upgrade/fixture.ts'

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url))
const versions = readdirSync(fixtures)
  .filter((file) => file.endsWith('.backup'))
  .map((file) => file.replace(/\.backup$/, ''))

let database: TestDatabase
let homeserver: FakeHomeserver
let service: Service
afterEach(async () => {
  await service?.stop()
  await homeserver?.stop()
  await database?.close()
  if (service) await removeFolder(service.folder)
})

describe('a database as a release left it', () => {
  test.each(versions)('%s: this version starts on it, and nobody is signed out', async (version) => {
    const fixture = JSON.parse(await readFile(`${fixtures}${version}.json`, 'utf8')) as Fixture
    database = await createTestDatabase({ empty: true })
    homeserver = await startFakeHomeserver({ secret: SECRET })
    for (const name of ['alice', 'locked', 'gone']) homeserver.addUser(name)
    service = await createService({ homeserver: homeserver.url, databaseUri: database.uri })
    const restored = await spawnCommand(
      ['--config', service.configFile, 'database', 'restore', `${fixtures}${version}.backup`],
      { cwd: service.folder },
    )
    expect(restored).toMatchObject({ code: 0 })
    await service.start()
    expect(await pendingMigrations(database.knex)).toEqual([])

    const postern = { url: service.url } as TestPostern
    expect((await refresh(postern, fixture.clientId, fixture.oauthRefreshToken)).status).toBe(200)
    const compat = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: fixture.compatRefreshToken },
    })
    expect(compat.status).toBe(200)
    expect(await seenByHomeserver(fixture.accessTokenForEver, service.url)).toBe(true)
    // Locked: the homeserver is told to come back (invariant 8).
    expect(await seenByHomeserver(fixture.accessTokenOfLocked, service.url)).toBeUndefined()
    const { password } = fixture
    expect((await passwordLogin(postern, 'alice', { password })).status).toBe(200)
    expect((await passwordLogin(postern, 'locked', { password })).body.errcode).toBe('M_USER_LOCKED')
    expect((await passwordLogin(postern, 'gone', { password })).body.errcode).toBe('M_FORBIDDEN')
  })
})

test('a migration that fails leaves the old state, and the next start finishes it', async () => {
  database = await createTestDatabase({ empty: true })
  // The newest migration fails after its first statement.
  const all = await pendingMigrations(database.knex)
  await migrate(database.knex, { exactly: all.slice(0, -1) })
  await database.knex.raw(`
    create function stand_in_the_way() returns event_trigger language plpgsql as $$ begin raise 'no'; end $$;
    create event trigger obstacle on ddl_command_end execute function stand_in_the_way()`)
  const state = async () => {
    const { rows } = await database.knex.raw(
      `select table_name, column_name from information_schema.columns where table_schema = 'public' order by 1, 2`,
    )
    return rows
  }
  const before = await state()
  await expect(migrate(database.knex)).rejects.toThrow()
  expect(await state()).toEqual(before)
  expect(await pendingMigrations(database.knex)).toEqual(all.slice(-1))

  await database.knex.raw('drop event trigger obstacle')
  expect(await migrate(database.knex)).toEqual(all.slice(-1))
})
