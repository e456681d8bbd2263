import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { hashSecret, newToken } from '../../src/tokens/format.ts'
import {
  API,
  addUser,
  authorize,
  deviceScope,
  introspect,
  obtainTokens,
  post,
  REDIRECT_URI,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

// The table of docs/tokens.md, row by row.

const SECRET = 'a-secret-of-the-configured-client'
let postern: TestPostern
let clientId: string
let alice: string

beforeAll(async () => {
  postern = await startPostern({
    config: {
      clients: [
        {
          client_id: 'web',
          client_name: 'Web',
          auth_method: 'client_secret_basic',
          client_secret: SECRET,
          redirect_uris: [REDIRECT_URI],
        },
      ] as never,
    },
  })
  alice = await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const ok = async (response: Response): Promise<Tokens> => {
  expect(response.status).toBe(200)
  return (await response.json()) as Tokens
}
const tokensOn = (device: string) =>
  obtainTokens(postern, clientId, 'alice', { params: { scope: `openid ${API} ${deviceScope(device)}` } })
const again = async (token: string) => ok(await refresh(postern, clientId, token))
const isActive = async (token: string) => (await introspect(postern, token)).body.active
const use = async (token: string) => {
  expect(await isActive(token)).toBe(true)
  await postern.app.activity.flush()
}
const refused = async (response: Response) => {
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: 'invalid_grant' })
}

test('check 25: a current token gives a new pair, and the old access token dies', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const second = await again(first.refresh_token)
  expect(second).toMatchObject({ token_type: 'Bearer', expires_in: 300, scope: first.scope })
  expect(second.id_token).toBeUndefined()
  expect(await isActive(first.access_token)).toBe(false)
  expect(await isActive(second.access_token)).toBe(true)
})

test('check 25: the old access token dies too where an older version made the pair', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const noted = postern.db('tokens').where({ hash: hashSecret(first.refresh_token) })
  expect(await noted.clone().update({ access_hash: null })).toBe(1)
  const second = await again(first.refresh_token)
  expect(await isActive(first.access_token)).toBe(false)
  expect(await isActive(second.access_token)).toBe(true)
})

test('within the grace time the same token gives the same pair, even after that was used', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const second = await again(first.refresh_token)
  await use(second.access_token)
  postern.clock.advance(20)
  expect((await again(first.refresh_token)).refresh_token).toBe(second.refresh_token)
  expect(await isActive(second.access_token)).toBe(true)
})

test('check 27: a lost answer is given again much later, and there is one live branch', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const second = await again(first.refresh_token)
  postern.clock.advance(120)
  const repeated = await again(first.refresh_token)
  expect(repeated.access_token).toBe(second.access_token)
  expect(repeated.expires_in).toBeLessThanOrEqual(180)
})

test('where the lost access token has expired, a fresh pair takes its place, and the lost one leads to it too', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const lost = await again(first.refresh_token)
  postern.clock.advance(3600)
  const fresh = await again(first.refresh_token)
  expect(fresh.access_token).not.toBe(lost.access_token)
  expect(await isActive(fresh.access_token)).toBe(true)
  expect((await again(first.refresh_token)).refresh_token).toBe(fresh.refresh_token)
  expect((await again(lost.refresh_token)).refresh_token).toBe(fresh.refresh_token)
  await again(fresh.refresh_token)
})

test('check 26: an old token after its successor was used is a replay: the session ends with all its tokens and its device', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const second = await again(first.refresh_token)
  await use(second.access_token)
  postern.clock.advance(31)
  await refused(await refresh(postern, clientId, first.refresh_token))
  expect(await isActive(second.access_token)).toBe(false)
  await refused(await refresh(postern, clientId, second.refresh_token))
  expect(postern.homeserver.devices('alice')).not.toContain('ABCDEFGHIJ')
  const [event] = await postern
    .db('audit_events')
    .where({ event: 'session.ended' })
    .orderBy('id', 'desc')
    .limit(1)
  expect(event.details).toMatchObject({ reason: 'token_replay' })
})

test('check 28: ten refreshes of one token at once all give the same pair', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const answers = await Promise.all(Array.from({ length: 10 }, () => again(first.refresh_token)))
  expect(new Set(answers.map(({ refresh_token }) => refresh_token)).size).toBe(1)
  expect(await isActive(answers[0]?.access_token ?? '')).toBe(true)
})

test('check 29: a locked user gets 503 with Retry-After, and the same token works after the unlock', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  await postern.app.accounts.lock(alice, { actor: 'operator' })
  const held = await refresh(postern, clientId, tokens.refresh_token)
  expect(held.status).toBe(503)
  expect(held.headers.get('retry-after')).toBeTruthy()
  await postern.app.accounts.unlock(alice, { actor: 'operator' })
  await again(tokens.refresh_token)
})

test('check 29: an ended session, a deactivated user and a client that is gone get invalid_grant', async () => {
  const ended = await obtainTokens(postern, clientId, 'alice')
  await post(`${postern.url}oauth2/revoke`, { token: ended.access_token })
  await refused(await refresh(postern, clientId, ended.refresh_token))

  const gone = await addUser(postern, 'gone')
  const tokens = await obtainTokens(postern, clientId, 'gone')
  await postern.app.accounts.deactivate(gone, { erase: false }, { actor: 'operator' })
  await refused(await refresh(postern, clientId, tokens.refresh_token))

  const removed = await registerClient(postern, { client_name: 'Removed' })
  const orphan = await obtainTokens(postern, removed, 'alice')
  await postern.db('clients').where({ client_id: removed }).delete()
  await refused(await refresh(postern, removed, orphan.refresh_token))
})

test("check 30: a wider scope is invalid_scope, another client's token is invalid_grant, and neither uses it up", async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const wider = await refresh(postern, clientId, tokens.refresh_token, { scope: 'openid email' })
  expect(wider.status).toBe(400)
  expect(await wider.json()).toMatchObject({ error: 'invalid_scope' })
  const other = await registerClient(postern, { client_name: 'Other' })
  await refused(await refresh(postern, other, tokens.refresh_token))
  const same = { scope: `${API} ${deviceScope('ABCDEFGHIJ')}` }
  expect((await refresh(postern, clientId, tokens.refresh_token, same)).status).toBe(200)
})

test('a confidential client refreshes with its secret, and nobody without it', async () => {
  const { code, request } = await authorize(postern, 'web', 'alice')
  const basic = { authorization: `Basic ${Buffer.from(`web:${SECRET}`).toString('base64')}` }
  const url = `${postern.url}oauth2/token`
  const exchange = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: request.verifier,
  }
  const tokens = await ok(await post(url, exchange, basic))
  const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }
  expect((await post(url, { ...form, client_id: 'web' })).status).toBe(401)
  expect(
    (await post(url, { ...form, client_id: 'web', client_secret: 'wrong-secret-of-the-client' })).status,
  ).toBe(401)
  await ok(await post(url, form, basic))
})

test('an access token, an unknown token and a malformed one are not refreshed', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  for (const token of [
    tokens.access_token,
    'mar_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_000000',
    'x',
    'syr_YWxpY2U_abcdefgh_123456',
  ]) {
    await refused(await refresh(postern, clientId, token))
  }
})

test('the lost successor of a fresh pair is a replay once the fresh pair was used and the grace time is over', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const lost = await again(first.refresh_token)
  postern.clock.advance(3600)
  const fresh = await again(first.refresh_token)
  await use(fresh.access_token)
  postern.clock.advance(31)
  await refused(await refresh(postern, clientId, lost.refresh_token))
  expect(await isActive(fresh.access_token)).toBe(false)
  await refused(await refresh(postern, clientId, fresh.refresh_token))
})

test('check 29: a lost answer of a locked user is held too, and is given after the unlock', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const lost = await again(first.refresh_token)
  await postern.app.accounts.lock(alice, { actor: 'operator' })
  const before = await postern.db('tokens').count()
  for (const token of [first.refresh_token, lost.refresh_token]) {
    expect((await refresh(postern, clientId, token)).status).toBe(503)
  }
  // An expired access token makes the answer write: a fresh pair takes the place of the lost one.
  postern.clock.advance(3600)
  expect((await refresh(postern, clientId, first.refresh_token)).status).toBe(503)
  expect(await postern.db('tokens').count()).toEqual(before)
  await postern.app.accounts.unlock(alice, { actor: 'operator' })
  expect(await isActive((await again(first.refresh_token)).access_token)).toBe(true)
})

test('a narrower scope is allowed, and the answer says what the new token may do', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const second = await ok(await refresh(postern, clientId, first.refresh_token, { scope: 'openid' }))
  const { body } = await introspect(postern, second.access_token)
  expect(second.scope.split(' ')).toContain('openid')
  expect(String(body.scope).split(' ')).toEqual(expect.arrayContaining(second.scope.split(' ')))
})

test('a refresh waits while somebody ends the session, and the others that come with it do not', async () => {
  const held = await obtainTokens(postern, clientId, 'alice')
  const free = await tokensOn('ANOTHERDEVICE')
  const ending = await postern.db.transaction()
  await ending.raw(
    'select 1 from sessions where id = (select session_id from tokens where hash = ?) for update',
    [hashSecret(held.refresh_token)],
  )
  const waiting = refresh(postern, clientId, held.refresh_token)
  await ok(await refresh(postern, clientId, free.refresh_token))
  await vi.waitFor(async () => {
    const { rows } = await postern.db.raw('select 1 from pg_locks where not granted')
    expect(rows.length).toBeGreaterThan(0)
  })
  await ending.rollback()
  await ok(await waiting)
})

test('many refreshes at the same time each get the answer to their own', async () => {
  const other = await registerClient(postern, { client_name: 'Other' })
  const devices = Array.from({ length: 24 }, (_, n) => `MANYATONCE${n}`)
  const before = []
  for (const device of devices) before.push(await tokensOn(device))
  // Every fourth asks with a token that nobody has, and as many for another client.
  const unknown = (n: number) => n % 4 === 0
  const foreign = (n: number) => n % 4 === 1
  const answers = await Promise.all(
    before.map(({ refresh_token }, n) =>
      refresh(postern, foreign(n) ? other : clientId, unknown(n) ? newToken('mar') : refresh_token),
    ),
  )
  for (const [n, answer] of answers.entries()) {
    if (unknown(n) || foreign(n)) await refused(answer)
    else {
      const { body } = await introspect(postern, (await ok(answer)).access_token)
      expect(body.device_id).toBe(devices[n])
    }
    expect(await isActive(before[n]!.access_token)).toBe(unknown(n) || foreign(n))
  }
})

test('last activity is not waited for while somebody ends the session', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  expect(await isActive(tokens.access_token)).toBe(true)
  const ending = await postern.db.transaction()
  await ending.raw('select 1 from sessions where ended_at is null for update')
  await postern.app.activity.flush()
  await ending.rollback()
  expect(postern.logged.filter((line) => line.includes('activity.flush_deferred'))).toEqual([])
})

test('connections that break under a refresh cost nobody a sign-in', async () => {
  let { refresh_token: token } = await obtainTokens(postern, clientId, 'alice')
  const statuses = new Set<number>()
  for (let round = 0; round < 30; round++) {
    const [answer] = await Promise.all([
      refresh(postern, clientId, token),
      postern.db.raw(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      ),
    ])
    statuses.add(answer.status)
    if (answer.status === 200) token = ((await answer.json()) as Tokens).refresh_token
  }
  for (const status of statuses) expect([200, 503]).toContain(status)
  await vi.waitFor(async () => {
    const answer = await refresh(postern, clientId, token)
    expect(answer.status).toBe(200)
    expect(await isActive(((await answer.json()) as Tokens).access_token)).toBe(true)
  })
})
