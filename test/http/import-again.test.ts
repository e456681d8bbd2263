import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { matrix } from '../support/compat.ts'
import {
  addMisfits,
  addPeople,
  configFor,
  createSynapseTables,
  ENGINES,
  type ImportFixture,
  runImportCommand,
} from '../support/import.ts'
import { TOKENS, userId } from '../support/import-people.ts'
import { introspect } from '../support/oauth.ts'
import { startPostern } from '../support/postern.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const TABLES = [
  'users',
  'user_passwords',
  'user_emails',
  'user_third_party_ids',
  'upstream_links',
  'sessions',
  'tokens',
  'imports',
  'import_set_aside',
]

let fixture: ImportFixture

async function contents(): Promise<Record<string, unknown[]>> {
  const entries = await Promise.all(
    TABLES.map(async (table) => {
      const { rows } = await fixture.target.knex.raw(
        `select to_jsonb(t) as row from ${table} t order by t::text`,
      )
      return [table, rows.map(({ row }: { row: unknown }) => row)] as const
    }),
  )
  return Object.fromEntries(entries)
}

/** Every index and constraint of the database. */
async function structure(): Promise<unknown[]> {
  const { rows } = await fixture.target.knex.raw(`
    select indexdef as definition from pg_indexes where schemaname = 'public'
    union all
    select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
     where connamespace = 'public'::regnamespace order by 1`)
  return rows
}

const nothing = Object.fromEntries(TABLES.map((table) => [table, []]))

describe.each(ENGINES)('a Synapse on %s', (engine) => {
  beforeEach(async () => {
    fixture = await createSynapseTables(engine)
    await addPeople(fixture.synapse)
    await addMisfits(fixture.synapse)
  })
  afterEach(() => fixture.close())

  test('a dry run does all the work and leaves nothing', async () => {
    const { code, out } = await runImportCommand(fixture, 'run', ['--dry-run', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ mode: 'dry-run', counts: { users: { moved: 13 } } })
    expect(await contents()).toEqual(nothing)
  })

  test('a second run doubles nothing, and adds what is new', async () => {
    await runImportCommand(fixture, 'run')
    const before = await contents()
    const again = JSON.parse((await runImportCommand(fixture, 'run', ['--json'])).out)
    expect(again.counts).toMatchObject({
      users: { moved: 0, known: 13, setAside: 6 },
      user_threepids: { moved: 0, known: 2 },
      user_external_ids: { moved: 0, known: 1 },
      devices: { moved: 0, known: 12 },
      access_tokens: { moved: 0, known: 12 },
      refresh_tokens: { moved: 0, known: 5 },
    })
    const { imports, ...rest } = await contents()
    expect(imports).toHaveLength(2)
    const { imports: first, ...unchanged } = before
    expect(first).toHaveLength(1)
    expect(rest).toEqual(unchanged)

    await fixture.synapse.run(`
      insert into users (name, creation_ts) values ('${userId('new')}', 1600000000);
      insert into devices (user_id, device_id) values ('${userId('new')}', 'NEW');
      insert into access_tokens (id, user_id, device_id, token) values (500, '${userId('new')}', 'NEW', 'syt_bmV3_newnewnewnewnewnewne_0aBcDe')`)
    const third = JSON.parse((await runImportCommand(fixture, 'run', ['--json'])).out)
    expect(third.counts).toMatchObject({
      users: { moved: 1 },
      devices: { moved: 1 },
      access_tokens: { moved: 1 },
    })
  })

  test('a session that ended here in the meantime does not come back, its device is held again', async () => {
    await runImportCommand(fixture, 'run')
    await fixture.target.knex.raw(`update sessions set ended_at = now() where device_id = 'PHONE'`)
    await runImportCommand(fixture, 'run')
    const postern = await startPostern({ config: { database: { uri: fixture.target.uri } } })
    expect((await introspect(postern, TOKENS.alicePhone)).body).toEqual({ active: false })
    await postern.close()
  })

  test('what Synapse ended or renewed since an earlier run is ended and renewed here too', async () => {
    await runImportCommand(fixture, 'run')
    const renewed = 'syt_YWxpY2U_renewedrenewedrenewe_9cBcDe'
    const renewedRefresh = 'syr_YWxpY2U_renewedrenewedrenewe_9cBcDe'
    const alice = userId('alice')
    await fixture.synapse.run(`
      delete from access_tokens where device_id in ('PHONE', 'ROOT') or token = '${TOKENS.aliceScript}';
      delete from devices where device_id in ('PHONE', 'ROOT');
      delete from access_tokens where token = '${TOKENS.aliceOdd}';
      insert into refresh_tokens (id, user_id, device_id, token) values (900, '${alice}', 'LAPTOP', '${renewedRefresh}');
      update refresh_tokens set next_token_id = 900 where token = '${TOKENS.laptopRefresh}';
      delete from access_tokens where token = '${TOKENS.laptop}';
      insert into access_tokens (id, user_id, device_id, token, refresh_token_id, used)
        values (900, '${alice}', 'LAPTOP', '${renewed}', 900, true);`)
    // Somebody used this one here: it is Postern's by now.
    await fixture.target.knex('sessions').where({ device_id: 'ROOT' }).update({ last_active_at: new Date() })

    const check = JSON.parse((await runImportCommand(fixture, 'check', ['--json'])).out)
    const again = JSON.parse((await runImportCommand(fixture, 'run', ['--json'])).out)
    expect(again).toMatchObject({
      gone: { sessions: 2, tokens: 2 },
      counts: { access_tokens: { moved: 1 }, refresh_tokens: { moved: 1 } },
    })
    expect(check.gone).toEqual(again.gone)

    const postern = await startPostern({ config: { database: { uri: fixture.target.uri } } })
    for (const token of [TOKENS.alicePhone, TOKENS.aliceScript, TOKENS.aliceOdd, TOKENS.laptop])
      expect((await introspect(postern, token)).body).toEqual({ active: false })
    for (const token of [renewed, TOKENS.root, TOKENS.aliceMacaroon])
      expect((await introspect(postern, token)).body).toMatchObject({ active: true })
    // The device with the odd name is still there, and stays.
    const sessions = await fixture.target.knex('sessions').whereNull('ended_at').pluck('device_id')
    expect(sessions).toEqual(expect.arrayContaining(['an odd "one"', 'LAPTOP', 'ROOT']))
    expect(await fixture.target.knex('sessions').where({ end_reason: 'ended_at_homeserver' })).toHaveLength(2)
    // Nothing is asked of the homeserver, which has deleted the devices itself.
    expect(await postern.db('pgboss.job').where({ name: 'device.delete' })).toEqual([])
    // The exchange at Synapse is used up, as its new token was used there.
    const body = { refresh_token: TOKENS.laptopRefresh }
    expect((await matrix(postern, 'POST', 'v3/refresh', { body })).status).toBe(401)
    await postern.close()
  })

  test('users who are here already are matched, keep their password and are not doubled', async () => {
    const id = '01890000-0000-7000-8000-000000000000'
    await fixture.target
      .knex('users')
      .insert({ id, localpart: 'alice', created_at: new Date(0), is_admin: false })
    await fixture.target
      .knex('user_passwords')
      .insert({ user_id: id, hash: '$argon2id$own', created_at: new Date(0) })
    const { counts } = JSON.parse((await runImportCommand(fixture, 'run', ['--json'])).out)
    expect(counts.users).toMatchObject({ moved: 12, known: 1 })
    const { rows } = await fixture.target.knex.raw(`
      select u.id, p.hash, (select count(*)::int from sessions s where s.user_id = u.id) as sessions
        from users u join user_passwords p on p.user_id = u.id where localpart = 'alice'`)
    expect(rows).toEqual([{ id, hash: '$argon2id$own', sessions: 9 }])
  })

  test('killed in the middle it leaves nothing, and the next run moves everything', async () => {
    const before = await structure()
    // The import comes to its last table, and waits for it there.
    const holder = new pg.Client({ connectionString: fixture.target.uri })
    await holder.connect()
    await holder.query('begin')
    await holder.query('lock table tokens in share mode')
    const [flag, postern, ...synapse] = await configFor(fixture)
    const args = [MAIN, String(flag), String(postern), 'import', 'synapse', 'run', ...synapse]
    const child = spawn(process.execPath, args, { cwd: fixture.folder, stdio: ['ignore', 'ignore', 'pipe'] })
    const exit = once(child, 'exit')
    const waits = `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and application_name = 'postern import' and wait_event_type = 'Lock'`
    while ((await fixture.target.knex.raw(waits)).rows[0].n === 0) expect(child.exitCode).toBe(null)
    child.kill('SIGKILL')
    expect((await exit)[1]).toBe('SIGKILL')
    await holder.end()

    expect(await contents()).toEqual(nothing)
    expect(await structure()).toEqual(before)
    const { code, out } = await runImportCommand(fixture, 'run', ['--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out).counts).toMatchObject({ users: { moved: 13 }, access_tokens: { moved: 12 } })
  })

  test('what a dry run told PostgreSQL about empty tables does not make the run slow', {
    timeout: 120_000,
  }, async () => {
    const values = Array.from(
      { length: 60_000 },
      (_, index) => `('@u${index}:localhost.test', 1500000000, '$2b$04$${'a'.repeat(53)}')`,
    )
    await fixture.synapse.run(
      `insert into users (name, creation_ts, password_hash) values ${values.join(', ')}`,
    )
    // As autovacuum leaves it: tables without a page. Nested loops over them would take several minutes.
    await fixture.target.knex.raw('vacuum analyze')
    const { code, out } = await runImportCommand(fixture, 'run', ['--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out).counts.users).toMatchObject({ moved: 60_013 })
  })

  test('so many rows that the indexes are made again leave the same structure', async () => {
    const before = await structure()
    const values = Array.from({ length: 21_000 }, (_, index) => `('@u${index}:localhost.test', 1500000000)`)
    await fixture.synapse.run(`insert into users (name, creation_ts) values ${values.join(', ')}`)
    const { code, err } = await runImportCommand(fixture, 'run')
    expect(code).toBe(0)
    expect(err).toContain('making indexes')
    expect(await structure()).toEqual(before)
    expect((await contents()).users).toHaveLength(21_013)
  })

  test('a Synapse that answers on its listener is not run beside, and a dry run is', async () => {
    const health = createServer((request, response) => response.end(request.url === '/health' ? 'OK' : ''))
    await once(health.listen(0, '127.0.0.1'), 'listening')
    const { port } = health.address() as AddressInfo
    const listeners = [
      { port, type: 'http', bind_addresses: ['127.0.0.1'], resources: [{ names: ['client'] }] },
    ]
    const refused = await runImportCommand(fixture, 'run', [], { synapse: { listeners } })
    expect(refused.code).toBe(1)
    expect(refused.err).toContain(`Synapse seems to be running (http://127.0.0.1:${port}/health answers)`)
    expect((await runImportCommand(fixture, 'run', ['--dry-run'], { synapse: { listeners } })).code).toBe(0)
    expect((await runImportCommand(fixture, 'check', [], { synapse: { listeners } })).code).toBe(0)
    expect(await contents()).toEqual(nothing)
    health.close()
  })

  test('beside a Postern server it keeps the indexes, whose requests need them, and says so', async () => {
    const postern = await startPostern({ config: { database: { uri: fixture.target.uri } } })
    const values = Array.from({ length: 21_000 }, (_, index) => `('@u${index}:localhost.test', 1500000000)`)
    await fixture.synapse.run(`insert into users (name, creation_ts) values ${values.join(', ')}`)
    const { code, out, err } = await runImportCommand(fixture, 'run')
    expect(code).toBe(0)
    expect(err).not.toContain('making indexes')
    expect(out).toContain('warning: A postern server runs on this database')
    expect((await introspect(postern, TOKENS.alicePhone)).body).toMatchObject({
      active: true,
      username: 'alice',
    })
    await postern.close()
  })
})

test('connections to Synapse’s PostgreSQL show that it runs; a psql does not', async () => {
  fixture = await createSynapseTables('PostgreSQL')
  const { cp_min: _, cp_max: __, dbname, ...args } = fixture.synapse.section.args
  const synapse = new pg.Client({ ...(args as pg.ClientConfig), database: String(dbname) })
  await synapse.connect()
  const { code, err } = await runImportCommand(fixture, 'run')
  expect(code).toBe(1)
  expect(err).toMatch(
    /^Synapse seems to be running \(a connection is open to its database as \w+\): stop it first/,
  )
  await synapse.query(`set application_name = 'psql'`)
  expect((await runImportCommand(fixture, 'run')).code).toBe(0)
  await synapse.end()
  await fixture.close()
})

test('a process that has Synapse’s SQLite file open shows that it runs', async () => {
  fixture = await createSynapseTables('SQLite')
  const script = `require('node:fs').openSync(process.argv[1], 'r'); process.stdout.write('open'); setInterval(() => {}, 1000)`
  const holder = spawn(process.execPath, ['-e', script, String(fixture.synapse.section.args.database)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout!, 'data')
  const { code, err } = await runImportCommand(fixture, 'run')
  expect(code).toBe(1)
  expect(err).toContain(`process ${holder.pid} (`)
  expect(err).toContain('has ')
  const exit = once(holder, 'exit')
  holder.kill()
  await exit
  expect((await runImportCommand(fixture, 'run')).code).toBe(0)
  await fixture.close()
})
