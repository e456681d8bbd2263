import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addMisfits,
  addPeople,
  createSynapseTables,
  ENGINES,
  type ImportFixture,
  runImportCommand,
} from '../support/import.ts'
import { TOKENS } from '../support/import-people.ts'

interface Verdict {
  safe: boolean
  problems: string[]
  counts: Record<string, { read: number; moved: number; known: number; setAside: number }>
  samples: Record<string, { checked: number; differences: { table: string; key: string; what: string }[] }>
}

const READY = {
  postern: {
    matrix: { server_name: 'localhost.test', endpoint: 'http://localhost:8008/', secret: 'shared' },
  },
}

describe.each(ENGINES)('import synapse verify, from %s', (engine) => {
  let fixture: ImportFixture
  beforeAll(async () => {
    fixture = await createSynapseTables(engine)
    await addPeople(fixture.synapse)
    await addMisfits(fixture.synapse)
  })
  afterAll(() => fixture.close())

  const verify = async (overrides = READY) => {
    const { code, out, err } = await runImportCommand(fixture, 'verify', ['--json'], overrides)
    return { code, err, out, verdict: JSON.parse(out) as Verdict }
  }
  const here = (sql: string) => fixture.target.knex.raw(sql)
  /** Changes something on either side, expects these problems and no others, and takes the change back. */
  async function expectProblems(
    change: { here?: string; synapse?: string; back: { here?: string; synapse?: string } },
    problems: unknown[],
  ) {
    if (change.here) await here(change.here)
    if (change.synapse) await fixture.synapse.run(change.synapse)
    const { code, verdict } = await verify()
    if (change.back.here) await here(change.back.here)
    if (change.back.synapse) await fixture.synapse.run(change.back.synapse)
    expect({ code, safe: verdict.safe, problems: verdict.problems }).toEqual({
      code: 1,
      safe: false,
      problems,
    })
  }

  test('before anything was imported it is not safe', async () => {
    const { code, err, verdict } = await verify()
    expect(code).toBe(1)
    expect(err).toBe('It is not safe to switch.')
    expect(verdict.problems).toContain('Nothing was imported yet: run postern import synapse run')
    expect(verdict.problems).toContain('users: 13 rows of Synapse are not here; run the import again')
  })

  test('after the run it is safe, with every row counted and every kind of token put to the introspection', async () => {
    expect(await runImportCommand(fixture, 'run')).toMatchObject({ code: 0 })
    const { code, verdict } = await verify()
    expect(verdict.problems).toEqual([])
    expect([code, verdict.safe]).toEqual([0, true])
    for (const { read, moved, known, setAside } of Object.values(verdict.counts)) {
      expect(moved).toBe(0)
      expect(known + setAside).toBe(read)
    }
    expect(verdict.samples).toMatchObject({
      tokens: { checked: 23, differences: [] },
      users: { checked: 19, differences: [] },
      devices: { checked: 12, differences: [] },
      emails: { checked: 2, differences: [] },
    })
  })

  test('says it in words, with the way back', async () => {
    const { code, out } = await runImportCommand(fixture, 'verify', [], READY)
    expect(code).toBe(0)
    expect(out).toMatch(/^access_tokens +17 +12 +0 +5$/m)
    expect(out).toContain('23 tokens, put to the introspection: all as they were')
    expect(out).toContain('It is safe to switch: put the edited homeserver.yaml in place, and start Synapse.')
    expect(out).toContain('To go back at any time: stop Synapse, put its old homeserver.yaml back in place')
  })

  test.each([
    [
      'a session that ended here',
      `update sessions set ended_at = now() where device_id = 'ROOT'`,
      'update sessions set ended_at = null',
      [
        'devices: 1 rows of Synapse are not here; run the import again',
        'access_tokens: 9 of @root:localhost.test should be active, is inactive',
        'devices: @root:localhost.test ROOT is not here',
      ],
    ],
    [
      'a user who is not locked here',
      `update users set locked_at = null where localpart = 'lotte'`,
      `update users set locked_at = now() where localpart = 'lotte'`,
      [
        'access_tokens: 10 of @lotte:localhost.test should be held (the user is locked), is active',
        'users: @lotte:localhost.test is not locked here',
      ],
    ],
    [
      "an administrator's rights that appeared",
      `update sessions set scope = 'urn:synapse:admin:*' where device_id = 'SUSI'; update users set is_admin = true where localpart = 'susi'`,
      `update sessions set scope = '' where device_id = 'SUSI'; update users set is_admin = false where localpart = 'susi'`,
      [
        "access_tokens: 11 of @susi:localhost.test has an administrator's rights",
        'users: @susi:localhost.test is an administrator here',
      ],
    ],
    [
      'a token on the device of another',
      `update sessions set device_id = 'X' where device_id = 'SUSI'`,
      `update sessions set device_id = 'SUSI' where device_id = 'X'`,
      expect.arrayContaining([
        'access_tokens: 11 of @susi:localhost.test is bound to another device',
        'devices: @susi:localhost.test SUSI is not here',
      ]),
    ],
    [
      'an end of a token that moved',
      `update tokens set expires_at = expires_at + interval '1 minute' where expires_at = to_timestamp(3900000000) and session_id = (select id from sessions where device_id = 'LAPTOP')`,
      `update tokens set expires_at = expires_at - interval '1 minute' where expires_at = to_timestamp(3900000060)`,
      ['access_tokens: 5 of @alice:localhost.test runs out at another time'],
    ],
    [
      'another password hash',
      `update user_passwords set hash = overlay(hash placing 'xx' from 30) where user_id = (select id from users where localpart = 'shade')`,
      undefined,
      ['users: @shade:localhost.test has another password here'],
    ],
  ])('%s is told', async (_, change, back, problems) => {
    const before =
      back ??
      `update user_passwords set hash = (select hash from user_passwords p join users u on u.id = p.user_id where localpart = 'alice') where user_id = (select id from users where localpart = 'shade')`
    await expectProblems({ here: change, back: { here: before } }, problems as unknown[])
  })

  test('what changed in Synapse since the run is told: new rows, and devices that were signed out', async () => {
    await expectProblems(
      {
        synapse: `insert into users (name, creation_ts) values ('@new:localhost.test', 1500000000);
          insert into devices (user_id, device_id) values ('@new:localhost.test', 'NEW');
          delete from devices where device_id = 'SUSI'; delete from access_tokens where id = 11;`,
        back: {
          synapse: `delete from users where name = '@new:localhost.test'; delete from devices where device_id = 'NEW';
          insert into devices (user_id, device_id, last_seen, ip, user_agent) values ('@susi:localhost.test', 'SUSI', 1700000000000, '192.0.2.7', 'App/1.0');
          insert into access_tokens (id, user_id, device_id, token, last_validated) values (11, '@susi:localhost.test', 'SUSI', '${TOKENS.suspended}', 1600000000000);`,
        },
      },
      expect.arrayContaining([
        'users: 1 rows of Synapse are not here; run the import again',
        'devices: 1 rows of Synapse are not here; run the import again',
        'users: @new:localhost.test is not here',
        'devices: @new:localhost.test NEW is not here',
        'devices: @susi:localhost.test SUSI was signed out in Synapse since it was moved, and is still signed in here',
        '1 sessions and 0 more tokens were ended in Synapse since they were moved, and still work here; run the import again',
      ]) as unknown as unknown[],
    )
    expect((await verify()).verdict.problems).toEqual([])
  })

  test('a password that was used here since, and so hashed anew, is no difference', async () => {
    await here(
      `update user_passwords set hash = '$argon2id$v=19$anew' where user_id = (select id from users where localpart = 'susi')`,
    )
    expect((await verify()).verdict).toMatchObject({ safe: true, problems: [] })
  })

  test('a right import is not enough: the configuration must fit, too', async () => {
    const { verdict } = await verify({
      postern: { matrix: { server_name: 'localhost.test' } },
    } as typeof READY)
    expect(verdict.problems).toEqual([
      'matrix.endpoint and matrix.secret are not set: Synapse could not ask whose a token is',
    ])
    const pepper = { postern: { ...READY.postern, passwords: { bcrypt_pepper: 'peppercorn' } } }
    const { verdict: second, out } = await verify(pepper)
    expect(second.problems).toHaveLength(1)
    expect(second.problems[0]).toContain("passwords.bcrypt_pepper is not Synapse's")
    expect(out).not.toContain('peppercorn')
  })

  test('it never shows a token, a hash or an e-mail address, and leaves no trace of use', async () => {
    await here(
      `update tokens set expires_at = '2030-01-01'; update user_passwords set hash = '$2b$04$' || repeat('a', 53)`,
    )
    await here(`update user_emails set email = upper(email)`)
    const { out, verdict } = await verify()
    expect(verdict.problems.length).toBeGreaterThan(10)
    const text = (await runImportCommand(fixture, 'verify', [], READY)).out
    for (const secret of [...Object.values(TOKENS), '$2b$', 'mail.example.test'])
      for (const said of [out, text]) expect(said.toLowerCase()).not.toContain(secret.toLowerCase())
    const { rows } = await here(
      'select count(*)::int as used from sessions where used_access_hash is not null',
    )
    expect(rows).toEqual([{ used: 0 }])
  })
})

test('a Synapse that runs is not safe to switch', async () => {
  const fixture = await createSynapseTables('PostgreSQL')
  await addPeople(fixture.synapse)
  await runImportCommand(fixture, 'run')
  const pg = await import('pg')
  const { args } = fixture.synapse.section
  const client = new pg.default.Client({
    ...args,
    database: String(args.dbname),
    application_name: 'synapse',
  } as object)
  await client.connect()
  const { out } = await runImportCommand(fixture, 'verify', ['--json'], READY)
  await client.end()
  expect((JSON.parse(out) as Verdict).problems).toEqual([
    expect.stringMatching(
      /^Synapse seems to be running \(a connection is open to its database .*stop it, run the import again/,
    ),
  ])
  await fixture.close()
})

test('--sample says how many rows of each kind are compared', async () => {
  const fixture = await createSynapseTables('SQLite')
  await addPeople(fixture.synapse)
  await runImportCommand(fixture, 'run')
  const { out } = await runImportCommand(fixture, 'verify', ['--json', '--sample', '1'], READY)
  expect((JSON.parse(out) as Verdict).samples.tokens?.checked).toBeLessThanOrEqual(7)
  for (const wrong of ['0', '2001', 'x'])
    expect((await runImportCommand(fixture, 'verify', ['--sample', wrong], READY)).code).toBe(1)
  await fixture.close()
})

test("Synapse's database may be named by a dsn", async () => {
  const fixture = await createSynapseTables('PostgreSQL')
  const { host, port, user, password, dbname } = fixture.synapse.section.args
  const dsn = `host='${host}' port=${port} user='${user}' password='${password}' dbname=${dbname}`
  const overrides = { ...READY, synapse: { database: { name: 'psycopg2', args: { dsn } } } }
  await addPeople(fixture.synapse)
  expect((await runImportCommand(fixture, 'run', [], overrides)).code).toBe(0)
  expect((await runImportCommand(fixture, 'verify', ['--json'], overrides)).code).toBe(0)
  await fixture.close()
})

test('an older schema is verified too', async () => {
  const fixture = await createSynapseTables('SQLite', { schema: 'old' })
  await fixture.synapse.run(`insert into users (name, creation_ts) values ('@old:localhost.test', 1400000000);
    insert into devices (user_id, device_id) values ('@old:localhost.test', 'D');
    insert into access_tokens (id, user_id, device_id, token) values (1, '@old:localhost.test', 'D', '${TOKENS.aliceMacaroon}')`)
  await runImportCommand(fixture, 'run')
  const { code, out } = await runImportCommand(fixture, 'verify', ['--json'], READY)
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({
    safe: true,
    samples: { tokens: { checked: 1 }, devices: { checked: 1 } },
  })
  await fixture.close()
})
