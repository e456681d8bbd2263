import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { showProgress } from '../../src/cli/import-progress.ts'
import type { ImportReport } from '../../src/import/synapse/import.ts'
import {
  addMisfits,
  addPeople,
  type ConfigOverrides,
  createSynapseTables,
  ENGINES,
  type ImportFixture,
  runImportCommand,
} from '../support/import.ts'

describe.each(ENGINES)('a Synapse on %s', (engine) => {
  let fixture: ImportFixture

  beforeAll(async () => {
    fixture = await createSynapseTables(engine)
    await addPeople(fixture.synapse)
    await addMisfits(fixture.synapse)
  })
  afterAll(() => fixture.close())

  const check = async (overrides: ConfigOverrides = {}, args: string[] = []) => {
    const { code, out, err } = await runImportCommand(fixture, 'check', ['--json', ...args], overrides)
    return { code, err, report: JSON.parse(out) as ImportReport }
  }

  test('it says what would be moved and what would not, with a key and a reason, and writes nothing', async () => {
    const { code, err, report } = await check()
    expect([code, err]).toEqual([0, ''])
    expect(report.counts.users).toEqual({ read: 19, moved: 13, known: 0, setAside: 6 })
    expect(report.setAside).toContainEqual({
      table: 'users',
      reason: 'belongs to another server',
      count: 1,
      examples: ['@stray:elsewhere.test'],
    })
    expect(report.estimatedSeconds).toBeGreaterThanOrEqual(1)
    for (const table of ['users', 'sessions', 'tokens', 'imports', 'import_set_aside'])
      expect(await fixture.target.knex(table).first('*'), table).toBeUndefined()
  })

  test('warnings alone exit 0, and name what homeserver.yaml has to lose', async () => {
    const { code, report } = await check({
      synapse: { enable_registration: true, refresh_token_lifetime: '90d' },
    })
    expect(code).toBe(0)
    expect(report.findings.filter(({ level }) => level === 'error')).toEqual([])
    const said = report.findings.filter((one) => one.code === 'homeserver_yaml').map(({ message }) => message)
    expect(said).toEqual([
      expect.stringMatching(/^homeserver.yaml: take enable_registration out before the switch/),
      expect.stringMatching(
        /^homeserver.yaml: take refresh_token_lifetime out .* Synapse does not start with it/,
      ),
    ])
    const codes = report.findings.map((one) => one.code)
    for (const expected of ['guests', 'shadow_banned', 'set_aside', 'endpoint'])
      expect(codes).toContain(expected)
  })

  test('another server name or pepper is an error, which stops a run too, and shows no pepper', async () => {
    const overrides = {
      synapse: { server_name: 'other.test', password_config: { pepper: 'a secret pepper' } },
    }
    const { code, err, report } = await check(overrides)
    expect([code, err]).toEqual([1, '2 errors to mend before the run'])
    const errors = report.findings.filter(({ level }) => level === 'error')
    expect(errors.map((one) => one.code)).toEqual(['server_name', 'pepper'])
    const run = await runImportCommand(fixture, 'run', [], overrides)
    expect(run.code).toBe(1)
    expect(run.err).toContain("matrix.server_name is localhost.test, Synapse's is other.test")
    expect(JSON.stringify([report, run])).not.toMatch(/a secret pepper|pepper of the old days/)
    expect(await fixture.target.knex('users').first('*')).toBeUndefined()
  })

  test('the report for people has the same numbers', async () => {
    const { code, out, err } = await runImportCommand(fixture, 'check')
    expect(code).toBe(0)
    expect(out).toMatch(/^users +19 +13 +0 +6$/m)
    expect(out).toContain('  users: 1 × belongs to another server (@stray:elsewhere.test)')
    expect(out).toMatch(/^Nothing was changed\. A run takes about \d+ s\.$/m)
    expect(err).toMatch(/^users +100 %, 19 rows, \d+\/s$/m)
  })

  test('users who wait for an approval arrive locked where Synapse asked for one', async () => {
    await fixture.synapse.run(`update users set approved = false where name = '@nell:localhost.test'`)
    const msc3866 = { enabled: true, require_approval_for_new_accounts: true }
    expect((await check()).report.users.locked).toBe(1)
    expect((await check({ synapse: { experimental_features: { msc3866 } } })).report.users.locked).toBe(2)
  })

  test('another database than the configured one can be named', async () => {
    const { args } = fixture.synapse.section
    const { user, password, host, port, dbname, database } = args
    const address =
      engine === 'SQLite'
        ? String(database)
        : `postgresql:///${dbname}?${new URLSearchParams({ user, password, host, port } as Record<string, string>)}`
    const { code, report } = await check({ synapse: { database: undefined } }, [
      '--synapse-database',
      address,
    ])
    expect(code).toBe(0)
    expect(report.counts.users?.moved).toBe(13)
    expect(JSON.stringify(report)).not.toContain(`"${password}"`)
    if (password) expect(report.database).not.toContain(String(password))
  })
})

describe('what cannot be read', () => {
  let fixture: ImportFixture
  beforeAll(async () => {
    fixture = await createSynapseTables('SQLite')
  })
  afterAll(() => fixture.close())

  test.each([
    ['no database', { database: undefined }, 'names no database'],
    [
      'a file that is not there',
      { database: { name: 'sqlite3', args: { database: 'none.db' } } },
      'cannot be read (ENOENT)',
    ],
    [
      'a file that is no database',
      { database: { name: 'sqlite3', args: { database: 'text.db' } } },
      'is not a database',
    ],
    [
      'a server that is not there',
      {
        database: {
          name: 'psycopg2',
          args: { host: '127.0.0.1', port: 1, user: 'synapse', password: 'its password' },
        },
      },
      'postgresql://synapse@127.0.0.1:1/synapse cannot be read',
    ],
  ])('%s is one line', async (_what, synapse, message) => {
    await writeFile(join(fixture.folder, 'text.db'), 'text '.repeat(1000))
    const { code, err } = await runImportCommand(fixture, 'check', [], { synapse })
    expect(code).toBe(1)
    expect(err).toContain(message)
    expect(err).not.toContain('\n')
    expect(err).not.toContain('its password')
  })

  test('a database of something else is refused', async () => {
    await fixture.synapse.run('drop table devices')
    const { code, err } = await runImportCommand(fixture, 'check')
    expect([code, err]).toEqual([
      1,
      'There is no table devices: this is not the database of a Synapse, or another schema of it',
    ])
  })

  test('an appservice registration that cannot be read is a warning', async () => {
    await fixture.synapse.run('create table devices (user_id text, device_id text)')
    const synapse = { app_service_config_files: ['/nowhere/bridge.yaml'] }
    const { code, out } = await runImportCommand(fixture, 'check', ['--json'], { synapse })
    expect(code).toBe(0)
    expect(JSON.parse(out).findings).toContainEqual({
      level: 'warning',
      code: 'appservice',
      message: '/nowhere/bridge.yaml: cannot be read (ENOENT)',
    })
  })
})

describe('progress', () => {
  test('a screen gets a bar for each table, drawn over, with rate and time left', () => {
    let now = 0
    const drawn: string[] = []
    const progress = showProgress(
      { note: (line) => drawn.push(line), draw: (text) => drawn.push(text) },
      { quiet: false, now: () => now },
    )
    progress.table('devices', 1000)
    now = 1000
    progress.rows(250)
    progress.rows(251)
    now = 2000
    progress.rows(500)
    progress.step('deciding')
    expect(drawn).toEqual([
      '\rdevices            [######..................] 25 %, 250 rows, 250/s, 3 s left\x1b[K',
      '\rdevices            [############............] 50 %, 500 rows, 250/s, 2 s left\x1b[K',
      '\rdevices            [########################] 100 %, 500 rows, 250/s\x1b[K',
      '\n',
      'deciding',
    ])
  })

  test('elsewhere a plain line comes every five seconds, and one at the end of each table', () => {
    let now = 0
    const lines: string[] = []
    const progress = showProgress({ note: (line) => lines.push(line) }, { quiet: false, now: () => now })
    progress.table('devices', 1000)
    for (now = 0; now <= 9000; now += 500) progress.rows(now / 10)
    progress.end()
    expect(lines).toEqual([
      'devices            50 %, 500 rows, 100/s, 5 s left',
      'devices            100 %, 900 rows, 95/s',
    ])
  })
})
