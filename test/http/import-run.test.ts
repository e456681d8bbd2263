import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashSecret } from '../../src/tokens/format.ts'
import { matrix, passwordLogin } from '../support/compat.ts'
import {
  addMisfits,
  addPeople,
  createSynapseTables,
  ENGINES,
  type ImportFixture,
  runImportCommand,
} from '../support/import.ts'
import {
  IMPORT_PASSWORD,
  IMPORT_PEPPER,
  LAPTOP_ENDS_MS,
  LAST_SEEN_MS,
  TOKENS,
} from '../support/import-people.ts'
import { introspect } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

describe.each(ENGINES)('a Synapse on %s', (engine) => {
  let fixture: ImportFixture
  let postern: TestPostern
  let report: Awaited<ReturnType<typeof runImportCommand>>

  beforeAll(async () => {
    fixture = await createSynapseTables(engine)
    await addPeople(fixture.synapse)
    await addMisfits(fixture.synapse)
    report = await runImportCommand(fixture, 'run', ['--json'])
    const many = { points: 1000, per_seconds: 60 }
    postern = await startPostern({
      config: {
        database: { uri: fixture.target.uri },
        passwords: { bcrypt_pepper: IMPORT_PEPPER },
        limits: { sign_in_per_address: many, sign_in_per_user: many },
      },
    })
    postern.homeserver.addUser('alice')
  })
  afterAll(async () => {
    await postern?.close()
    await fixture?.close()
  })

  const rows = async (sql: string) => (await fixture.target.knex.raw(sql)).rows as Record<string, unknown>[]

  test('the report counts what was read, moved and set aside, by table', () => {
    expect(report).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(report.out)).toMatchObject({
      mode: 'run',
      serverName: 'localhost.test',
      counts: {
        users: { read: 19, moved: 13, known: 0, setAside: 6 },
        user_threepids: { read: 6, moved: 2, known: 0, setAside: 4 },
        user_external_ids: { read: 3, moved: 1, known: 0, setAside: 2 },
        devices: { read: 17, moved: 12, known: 0, setAside: 5 },
        access_tokens: { read: 17, moved: 12, known: 0, setAside: 5 },
        refresh_tokens: { read: 6, moved: 5, known: 0, setAside: 1 },
      },
      users: {
        withPassword: 6,
        withoutPassword: 6,
        admins: 1,
        locked: 1,
        suspended: 1,
        deactivated: 1,
        guests: 1,
        appservice: 3,
        shadowBanned: 1,
      },
    })
  })

  test('every kind of user arrives as what it was', async () => {
    const users = await rows(`
      select localpart, locked_at is not null as locked, deactivated_at is not null as deactivated, is_admin, is_guest,
             is_suspended, appservice_id, provisioned_at is not null as provisioned, users.created_at, p.hash is not null as password
        from users left join user_passwords p on p.user_id = users.id order by localpart collate "C"`)
    const plain = {
      locked: false,
      deactivated: false,
      is_admin: false,
      is_guest: false,
      is_suspended: false,
      appservice_id: null,
      provisioned: true,
      created_at: new Date(1_500_000_000_000),
      password: true,
    }
    expect(users).toEqual([
      { ...plain, localpart: '12345', is_guest: true, password: false },
      { ...plain, localpart: 'Alice' },
      { ...plain, localpart: 'alice' },
      { ...plain, localpart: 'bridge_anna', appservice_id: 'bridge', password: false },
      { ...plain, localpart: 'bridge_bert', appservice_id: 'bridge', password: false },
      { ...plain, localpart: 'bridgebot', appservice_id: 'bridge', password: false },
      { ...plain, localpart: 'dora', deactivated: true, password: false },
      { ...plain, localpart: 'lotte', locked: true },
      { ...plain, localpart: 'nell', password: false },
      { ...plain, localpart: 'phpbb', password: false },
      { ...plain, localpart: 'root', is_admin: true },
      { ...plain, localpart: 'shade' },
      { ...plain, localpart: 'susi', is_suspended: true },
    ])
  })

  test('an old password works, with its pepper and NFKC, and is hashed anew', async () => {
    const { status, body } = await passwordLogin(postern, 'alice', { password: IMPORT_PASSWORD })
    expect([status, body.user_id]).toEqual([200, '@alice:localhost.test'])
    expect((await passwordLogin(postern, 'alice', { password: 'another' })).status).toBe(403)
    // The clean-up of this sign-in: the counts below are those of the import.
    await matrix(postern, 'POST', 'v3/logout', { token: String(body.access_token) })
    const [password] = await rows(
      `select hash from user_passwords p join users u on u.id = p.user_id where localpart = 'alice'`,
    )
    expect(password?.hash).toMatch(/^\$argon2id\$/)
  })

  test('a confirmed e-mail address signs in, and phone numbers and upstream links are kept', async () => {
    const { status } = await passwordLogin(postern, '', {
      identifier: { type: 'm.id.thirdparty', medium: 'email', address: 'alice@mail.example.test' },
      password: IMPORT_PASSWORD,
    })
    expect(status).toBe(200)
    const at = new Date(1_600_000_000_000)
    expect(await rows('select email, created_at, confirmed_at from user_emails')).toEqual([
      { email: 'alice@mail.example.test', created_at: at, confirmed_at: at },
    ])
    expect(
      await rows(
        'select medium, address, localpart from user_third_party_ids t join users u on u.id = t.user_id',
      ),
    ).toEqual([{ medium: 'msisdn', address: '447700900000', localpart: 'alice' }])
    expect(
      await rows(
        'select synapse_idp_id, subject, localpart from upstream_links l join users u on u.id = l.user_id',
      ),
    ).toEqual([{ synapse_idp_id: 'oidc-keycloak', subject: 'subject-of-alice', localpart: 'alice' }])
  })

  test.each([
    ['a plain token', TOKENS.alicePhone, 'alice', 'PHONE'],
    ['a macaroon', TOKENS.aliceMacaroon, 'alice', 'OLD'],
    ['a token without a device', TOKENS.aliceScript, 'alice', undefined],
    ['a token on a device with an odd name', TOKENS.aliceOdd, 'alice', 'an odd "one"'],
    ['a suspended user', TOKENS.suspended, 'susi', 'SUSI'],
    ['an appservice user', TOKENS.bridged, 'bridge_anna', 'BRIDGE'],
  ])('%s works as before, without an end', async (_what, token, username, deviceId) => {
    const { status, body } = await introspect(postern, token)
    expect(status).toBe(200)
    expect(body).toMatchObject({ active: true, username, token_type: 'access_token', iat: 1_600_000_000 })
    expect(body.device_id).toBe(deviceId)
    expect(body.expires_in).toBeUndefined()
    expect(body.scope).toBe('urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:*')
  })

  test("an administrator's token keeps the scope of Synapse's admin API", async () => {
    const { body } = await introspect(postern, TOKENS.root)
    expect(body.scope).toMatch(/ urn:synapse:admin:\*$/)
  })

  test("a locked user's token is held, an expired one is over, and what was set aside is unknown", async () => {
    expect((await introspect(postern, TOKENS.locked)).status).toBe(503)
    for (const token of [TOKENS.expired, TOKENS.puppet, TOKENS.orphan]) {
      expect((await introspect(postern, token)).body).toEqual({ active: false })
    }
  })

  test('a refreshable session keeps its ends, and its refresh token works', async () => {
    const ends = new Date(LAPTOP_ENDS_MS)
    expect((await introspect(postern, TOKENS.laptop)).body).toMatchObject({ exp: 3_900_000_000 })
    expect(
      await rows(`select s.expires_at as session, r.expires_at as token from sessions s
        join tokens r on r.session_id = s.id and r.kind = 'refresh' where device_id = 'LAPTOP'`),
    ).toEqual([{ session: ends, token: ends }])
    const { status, body } = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: TOKENS.laptopRefresh },
    })
    expect(status).toBe(200)
    expect((await introspect(postern, String(body.access_token))).body).toMatchObject({
      active: true,
      device_id: 'LAPTOP',
    })
    expect((await introspect(postern, TOKENS.laptop)).body).toEqual({ active: false })
  })

  test('a refresh whose answer got lost before the switch gets that answer again', async () => {
    const { status, body } = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: TOKENS.tabletOldRefresh },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ access_token: TOKENS.tabletNext, refresh_token: TOKENS.tabletNextRefresh })
    expect((await introspect(postern, TOKENS.tabletNext)).body).toMatchObject({
      active: true,
      device_id: 'TABLET',
    })
  })

  test('a refresh token that was exchanged for tokens in use is a replay', async () => {
    expect((await introspect(postern, TOKENS.spentNext)).body).toMatchObject({ active: true })
    const { status, body } = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: TOKENS.spentRefresh },
    })
    expect([status, body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
    expect((await introspect(postern, TOKENS.spentNext)).body).toEqual({ active: false })
  })

  test('devices arrive with name, last use, address and app; one without a token holds its device too', async () => {
    const [phone] = await rows(`
      select kind, name, last_active_at, last_active_ip, user_agent, created_at, ended_at, scope, client_id
        from sessions where device_id = 'PHONE'`)
    expect(phone).toEqual({
      kind: 'compat',
      name: "Alice's phone \\ with\ttab",
      last_active_at: expect.any(Date),
      last_active_ip: '192.0.2.7',
      user_agent: 'App/1.0',
      created_at: new Date(1_600_000_000_000),
      ended_at: null,
      scope: '',
      client_id: null,
    })
    expect(
      await rows(`select last_active_at, s.created_at, t.hash from sessions s left join tokens t on t.session_id = s.id
                        where device_id = 'KEYSONLY' and ended_at is null`),
    ).toEqual([{ last_active_at: new Date(LAST_SEEN_MS), created_at: new Date(LAST_SEEN_MS), hash: null }])
    expect(await rows(`select 1 from sessions where device_id = 'master key'`)).toEqual([])
  })

  test('invariant 1: only hashes of tokens are stored, whatever table one looks at', async () => {
    expect(
      await rows(
        `select encode(hash, 'hex') as hash from tokens t join sessions s on s.id = t.session_id where device_id = 'PHONE'`,
      ),
    ).toEqual([{ hash: hashSecret(TOKENS.alicePhone).toString('hex') }])
    const tables = await rows(`select tablename from pg_tables where schemaname = 'public'`)
    for (const { tablename } of tables) {
      const found = await rows(`select 1 from ${tablename} as t where t::text ~ 'syt_|syr_|MDAx' limit 1`)
      expect(found, String(tablename)).toEqual([])
    }
    expect(report.out).not.toMatch(/syt_|syr_|MDAx|\$2b\$|\$P\$/)
  })

  test('what is set aside stands in a table with key and reason', async () => {
    const noUser = 'there is no such user, or it is set aside itself'
    const key = (table: string, name: string, reason: string) => ({ synapse_table: table, key: name, reason })
    expect(await rows(`select * from import_set_aside where length(key) < 100`)).toEqual(
      expect.arrayContaining([
        key('users', '@stray:elsewhere.test', 'belongs to another server'),
        key('users', '@bär:localhost.test', 'the name has characters that no user ID may have'),
        key('users', 'nobody', 'is not a user ID'),
        key('users', '@phpbb:localhost.test', 'its password is not a bcrypt hash: moved without a password'),
        key('user_threepids', 'email ghost@mail.example.test', noUser),
        key('user_threepids', 'email ALICE@mail.example.test', 'the address is taken already'),
        key('user_external_ids', 'oauth-delegated 01ABC', 'is left from an authentication service of before'),
        key('devices', '@ghost:localhost.test GHOST', noUser),
        key('access_tokens', '13', 'an administrator made it to act as another user'),
        key('access_tokens', '101', noUser),
        key('access_tokens', '102', 'its device is gone or set aside'),
        key('access_tokens', '103', 'is not a token in a form that Synapse made'),
        key('access_tokens', '104', 'the user is deactivated'),
        key('refresh_tokens', '101', 'its device is gone or set aside'),
      ]),
    )
  })
})

test.each(ENGINES)('an older schema on %s is read too, and says what it lacks', async (engine) => {
  const fixture = await createSynapseTables(engine, { schema: 'old' })
  await fixture.synapse.run(`
    insert into users (name, creation_ts) values ('@alice:localhost.test', 1400000000);
    insert into devices (user_id, device_id) values ('@alice:localhost.test', 'PHONE');
    insert into access_tokens (id, user_id, device_id, token) values (1, '@alice:localhost.test', 'PHONE', '${TOKENS.aliceMacaroon}');`)
  const { code, out } = await runImportCommand(fixture, 'run', ['--json'])
  expect(code).toBe(0)
  const { counts, findings } = JSON.parse(out)
  expect(counts).toMatchObject({
    users: { moved: 1 },
    devices: { moved: 1 },
    access_tokens: { moved: 1 },
    refresh_tokens: { read: 0 },
  })
  expect(findings).toContainEqual(
    expect.objectContaining({ code: 'old_schema', message: expect.stringContaining('users.locked') }),
  )
  await fixture.close()
})
