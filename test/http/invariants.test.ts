import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, createAgent } from '../support/agent.ts'
import { compatSession, matrix, obtainLoginToken, passwordLogin, tokenLogin } from '../support/compat.ts'
import {
  addUser,
  authorizationRequest,
  authorize,
  exchange,
  introspect,
  obtainTokens,
  PASSWORD,
  REDIRECT_URI,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

// The ten invariants of docs/architecture.md. `npm run test:mutations` breaks each and expects its test to turn red.

const CLIENT_SECRET = 'a-secret-of-the-configured-client'
const many = { points: 1000, per_seconds: 60 }
const CONFIG: Record<string, object> = {
  limits: { sign_in_per_address: many, sign_in_per_user: many },
  clients: [
    {
      client_id: 'watcher',
      client_name: 'Watcher',
      auth_method: 'client_secret_basic',
      client_secret: CLIENT_SECRET,
      may_introspect: true,
      redirect_uris: [REDIRECT_URI],
    },
  ],
}
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern({ config: CONFIG })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const twenty = <T>(make: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, make))
const json = async (response: Response) => (await response.json()) as Tokens & { error?: string }

/** Every value of every table, as text: bytes as hexadecimal and as what they spell. */
async function wholeDatabase(): Promise<string> {
  const { rows } = await postern.db.raw<{ rows: { name: string }[] }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'pgboss')`,
  )
  const parts: string[] = []
  for (const { name } of rows) {
    const found = await postern.db.raw<{ rows: Record<string, unknown>[] }>(`select * from ${name}`)
    for (const row of found.rows) {
      for (const value of Object.values(row)) {
        if (Buffer.isBuffer(value)) parts.push(value.toString('hex'), value.toString('latin1'))
        else parts.push(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
      }
    }
  }
  return parts.join('\n')
}

test('invariant 1: no secret that signs anybody in stands in the database', async () => {
  const secrets: string[] = [CLIENT_SECRET, PASSWORD]
  const waiting = createAgent(postern.url)
  const interaction = await waiting.get(authorizationRequest(postern, clientId).url)
  secrets.push(interaction.location?.split('/').at(-1) ?? '')
  const { code, request, agent } = await authorize(postern, clientId, 'alice')
  secrets.push(code)
  const first = await json(await exchange(postern, clientId, code, request.verifier))
  const second = await json(await refresh(postern, clientId, first.refresh_token))
  for (const tokens of [first, second]) secrets.push(tokens.access_token, tokens.refresh_token)
  for (const { value } of [...agent.cookies.values(), ...waiting.cookies.values()]) secrets.push(value)
  const path = await postern.app.firstAdmin.issue()
  if (path) secrets.push(path.split('/').at(-1) ?? '')

  const stored = await wholeDatabase()
  expect(stored).toContain('alice')
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(10)
    expect(stored.includes(secret)).toBe(false)
    expect(stored.includes(Buffer.from(secret).toString('hex'))).toBe(false)
  }
})

test('invariant 2: what belongs to an ended session is dead, also what is written beside the end', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const [session] = await postern.db('sessions').whereNull('ended_at').orderBy('created_at', 'desc').limit(1)
  postern.homeserver.trouble({ status: 500 }, 'delete_device')
  const revoked = await fetch(`${postern.url}oauth2/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token: tokens.refresh_token }),
  })
  expect(revoked.status).toBe(200)
  // A token that another request was just writing.
  await postern.db('tokens').where({ session_id: session.id }).update({ consumed_at: null })
  expect((await introspect(postern, tokens.access_token)).body).toEqual({ active: false })
  expect((await refresh(postern, clientId, tokens.refresh_token)).status).toBe(400)
  // The homeserver was away: the job that the same transaction queued is there, and does it later.
  const jobs = await postern.db('pgboss.job').where({ name: 'device.delete' })
  expect(jobs.some(({ data, state }) => data.deviceId === 'ABCDEFGHIJ' && state !== 'completed')).toBe(true)
  postern.homeserver.recover()
})

test('invariant 3: a sign-in on a device that is in use replaces its session and keeps the device', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const other = await registerClient(postern, { client_name: 'Another app' })
  const second = await obtainTokens(postern, other, 'alice')
  expect((await introspect(postern, first.access_token)).body).toEqual({ active: false })
  expect((await introspect(postern, second.access_token)).body).toMatchObject({ device_id: 'ABCDEFGHIJ' })
  expect(postern.homeserver.devices('alice')).toContain('ABCDEFGHIJ')
  const live = await postern.db('sessions').where({ device_id: 'ABCDEFGHIJ' }).whereNull('ended_at')
  expect(live).toHaveLength(1)
})

test('invariant 4: of twenty exchanges of one code one wins, and its tokens live', async () => {
  const { code, request } = await authorize(postern, clientId, 'alice')
  const answers = await twenty(() => exchange(postern, clientId, code, request.verifier))
  const winners = answers.filter(({ status }) => status === 200)
  expect(winners).toHaveLength(1)
  for (const { status } of answers) expect([200, 400]).toContain(status)
  const { access_token } = await json(winners[0] as Response)
  expect((await introspect(postern, access_token)).body).toMatchObject({ active: true })
})

test('invariant 4: twenty refreshes of one token all get the same pair', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const answers = await Promise.all(
    (await twenty(() => refresh(postern, clientId, tokens.refresh_token))).map(json),
  )
  // Those that came at the same time may have shared a statement; one that comes after has not.
  answers.push(await json(await refresh(postern, clientId, tokens.refresh_token)))
  expect(answers[0]?.access_token).toBeTruthy()
  expect(new Set(answers.map(({ access_token }) => access_token)).size).toBe(1)
  const [row] = await postern.db('tokens').where({ kind: 'refresh' }).whereNull('consumed_at').count()
  const live = await postern
    .db('tokens as t')
    .join('sessions as s', 's.id', 't.session_id')
    .where({ 't.kind': 'refresh' })
    .whereNull('t.consumed_at')
    .whereNull('s.ended_at')
  expect(row).toBeDefined()
  expect(live).toHaveLength(1)
})

test('invariant 5: introspection sees what another server has just changed', async () => {
  const other = await startPostern({ beside: postern, config: CONFIG })
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  for (const server of [postern, other]) {
    expect((await introspect(server, access_token)).body).toMatchObject({ active: true })
  }
  await fetch(`${postern.url}oauth2/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token: access_token }),
  })
  for (const server of [postern, other]) {
    expect((await introspect(server, access_token)).body).toEqual({ active: false })
  }
  await other.close()
})

test('invariant 6: the device exists before its token leaves, or the code stays good', async () => {
  const { code, request } = await authorize(postern, clientId, 'alice')
  postern.homeserver.trouble({ status: 500 }, 'upsert_device')
  const refused = await exchange(postern, clientId, code, request.verifier)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBeTruthy()
  postern.homeserver.recover()
  expect((await exchange(postern, clientId, code, request.verifier)).status).toBe(200)
  expect(postern.homeserver.devices('alice')).toContain('ABCDEFGHIJ')
})

test('invariant 7: trouble of ours is a 503, and a lost answer is given again', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  // Somebody holds the table for longer than a statement may take.
  const holder = await postern.db.transaction()
  await holder.raw('lock table tokens in access exclusive mode')
  const answers = [await refresh(postern, clientId, tokens.refresh_token)]
  await holder.rollback()
  postern.homeserver.trouble('cut', 'upsert_device')
  const { code, request } = await authorize(postern, clientId, 'alice')
  answers.push(await exchange(postern, clientId, code, request.verifier))
  postern.homeserver.recover()
  for (const { status, headers } of answers) {
    expect(status).toBe(503)
    expect(headers.get('retry-after')).toBeTruthy()
  }
  const first = await json(await refresh(postern, clientId, tokens.refresh_token))
  const again = await json(await refresh(postern, clientId, tokens.refresh_token))
  expect(first.refresh_token).toBeTruthy()
  expect(again.refresh_token).toBe(first.refresh_token)
})

test('invariant 8: a locked user is held, not wiped', async () => {
  const id = await addUser(postern, 'held')
  const tokens = await obtainTokens(postern, clientId, 'held')
  await postern.app.accounts.lock(id, { actor: 'operator' })
  const basic = `Basic ${Buffer.from(`watcher:${CLIENT_SECRET}`).toString('base64')}`
  const asClient = async () => {
    const body = new URLSearchParams({ token: tokens.access_token })
    return (
      await fetch(`${postern.url}oauth2/introspect`, {
        method: 'POST',
        headers: { authorization: basic },
        body,
      })
    ).json()
  }
  expect((await introspect(postern, tokens.access_token)).status).toBe(503)
  expect(await asClient()).toEqual({ active: false })
  const held = await refresh(postern, clientId, tokens.refresh_token)
  expect(held.status).toBe(503)
  expect(held.headers.get('retry-after')).toBeTruthy()
  postern.clock.advance(600)
  expect((await introspect(postern, tokens.access_token)).status).toBe(503)
  await postern.app.accounts.unlock(id, { actor: 'operator' })
  const back = await refresh(postern, clientId, tokens.refresh_token)
  expect(back.status).toBe(200)
  expect((await introspect(postern, (await json(back)).access_token)).body).toMatchObject({ active: true })
})

test('invariant 9: a failed sign-in says the same of a stranger, a wrong password, a locked user and one without a password', async () => {
  const locked = await addUser(postern, 'locked')
  await postern.app.accounts.lock(locked, { actor: 'operator' })
  await postern.app.addUser.add({ localpart: 'nopassword' }, { actor: 'operator' })
  const answers: Answer[] = []
  for (const username of ['nobody', 'alice', 'locked', 'nopassword']) {
    const agent = createAgent(postern.url)
    answers.push(
      await agent.submit(await agent.get(`${postern.url}login`), { username, password: 'wrong password' }),
    )
  }
  const plain = ({ body }: Answer) =>
    body
      .replaceAll(/(?:nobody|alice|locked|nopassword)(?=")/g, 'USER')
      .replaceAll(/(?:nonce|value)="[^"]*"/g, '')
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400]))
  expect(new Set(answers.map(plain)).size).toBe(1)
})

test('invariant 10: what a request says of our address changes nothing', async () => {
  const { request: send } = await import('node:http')
  const { port, pathname } = new URL(`${postern.url}.well-known/openid-configuration`)
  const body = await new Promise<string>((resolve, reject) => {
    const headers = { host: 'evil.test', 'x-forwarded-host': 'evil.test', forwarded: 'host=evil.test' }
    send({ host: 'localhost', port, path: pathname, headers }, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
  expect(body).toContain(`${postern.url}oauth2/token`)
  expect(body).not.toContain('evil')
})

// The same invariants at the legacy login API.

test('invariant 1: neither a login token nor a token of the legacy API stands in the database', async () => {
  const agent = createAgent(postern.url)
  const used = await obtainLoginToken(postern, 'alice', { agent })
  const { body } = await tokenLogin(postern, used, { refresh_token: true })
  const secrets = [
    used,
    await obtainLoginToken(postern, 'alice', { agent }),
    body.access_token,
    body.refresh_token,
  ]
  const everything = await wholeDatabase()
  for (const secret of secrets) {
    expect(String(secret).length).toBeGreaterThan(20)
    expect(everything).not.toContain(secret)
  }
})

test('invariant 4: of twenty sign-ins with one login token one wins', async () => {
  const token = await obtainLoginToken(postern, 'alice')
  const answers = await twenty(() => tokenLogin(postern, token))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
})

/** The ID that the first request to delete devices is given, and the second request. */
async function interactive(name: string) {
  await addUser(postern, name)
  const { access_token: token } = await compatSession(postern, name)
  const { body } = await matrix(postern, 'POST', 'v3/delete_devices', { token, body: { devices: ['X'] } })
  const auth = { type: 'm.login.password', password: PASSWORD, session: body.session }
  const confirm = () =>
    matrix(postern, 'POST', 'v3/delete_devices', { token, body: { devices: ['X'], auth } })
  return { session: String(body.session), confirm }
}

test('invariant 1: the ID of an interactive authentication is not in the database', async () => {
  const { session } = await interactive('careful')
  expect(session.length).toBeGreaterThan(20)
  expect(await wholeDatabase()).not.toContain(session)
})

test('invariant 4: of twenty requests with one interactive authentication one is done', async () => {
  const { confirm } = await interactive('hasty')
  const answers = await twenty(confirm)
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
})

test('invariant 8: the app of a locked user keeps its session at the legacy API', async () => {
  const id = await addUser(postern, 'older')
  const { refresh_token } = await compatSession(postern, 'older', { refresh_token: true })
  const body = { refresh_token }
  await postern.app.accounts.lock(id, { actor: 'operator' })
  const held = await matrix(postern, 'POST', 'v3/refresh', { body })
  expect(held.body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
  await postern.app.accounts.unlock(id, { actor: 'operator' })
  expect((await matrix(postern, 'POST', 'v3/refresh', { body })).status).toBe(200)
})

test('invariant 9: a failed legacy sign-in says the same of a stranger, a wrong password and a locked user', async () => {
  const id = await addUser(postern, 'latched')
  await postern.app.accounts.lock(id, { actor: 'operator' })
  const answers = await Promise.all(
    ['alice', 'nobody', 'latched'].map((name) =>
      passwordLogin(postern, name, { password: 'wrong password' }),
    ),
  )
  for (const { status, body } of answers) {
    expect({ status, body }).toEqual({
      status: 403,
      body: { errcode: 'M_FORBIDDEN', error: 'Invalid username/password' },
    })
  }
  expect((await passwordLogin(postern, 'latched')).body.errcode).toBe('M_USER_LOCKED')
})
