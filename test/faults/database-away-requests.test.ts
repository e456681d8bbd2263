import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { hashSecret } from '../../src/tokens/format.ts'
import { createAgent } from '../support/agent.ts'
import { compatSession, matrix, passwordLogin } from '../support/compat.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createRelay, type Relay } from '../support/faults/relay.ts'
import {
  API,
  addUser,
  authorizationRequest,
  authorize,
  deviceScope,
  exchange,
  introspect,
  obtainTokens,
  PASSWORD,
  post,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

// Every door, while the database is away: come back later, and nothing is lost (invariant 7).

let database: TestDatabase
let relay: Relay
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  database = await createTestDatabase()
  relay = await createRelay(database.uri)
  postern = await startPostern({ config: { database: { uri: relay.uri } } })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(async () => {
  await postern?.close()
  await relay?.close()
  await database?.close()
})

const scope = (device: string) => ({ params: { scope: `openid ${API} ${deviceScope(device)}` } })
type Asked = Pick<Response, 'status' | 'headers'> & { body?: unknown }

for (const how of ['cut', 'freeze'] as const) {
  test(`check 72: while the database is away (${how}) every request is told to come back, and then works`, {
    timeout: 90_000,
  }, async () => {
    const { code, request } = await authorize(postern, clientId, 'alice', scope('PHONE'))
    const tokens = await obtainTokens(postern, clientId, 'alice', scope('TABLET'))
    const leaving = await obtainTokens(postern, clientId, 'alice', scope('OLDPHONE'))
    const older = await compatSession(postern, 'alice', { refresh_token: true })
    const browser = tokens.agent
    const stranger = createAgent(postern.url)
    const login = await stranger.get(`${postern.url}login`)

    const metadata = {
      client_name: `Another app ${how}`,
      client_uri: 'https://another.example/',
      redirect_uris: ['https://another.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }
    const headers = { 'content-type': 'application/json' }
    const asked: Record<string, () => Promise<Asked>> = {
      ready: () => fetch(`${postern.url}ready`),
      exchange: () => exchange(postern, clientId, code, request.verifier),
      refresh: () => refresh(postern, clientId, tokens.refresh_token),
      introspection: () => introspect(postern, older.access_token),
      userinfo: () =>
        fetch(`${postern.url}oauth2/userinfo`, {
          headers: { authorization: `Bearer ${tokens.access_token}` },
        }),
      revocation: () =>
        post(`${postern.url}oauth2/revoke`, { token: leaving.refresh_token, client_id: clientId }),
      registration: () =>
        fetch(`${postern.url}oauth2/registration`, {
          method: 'POST',
          headers,
          body: JSON.stringify(metadata),
        }),
      'device authorization': () =>
        post(`${postern.url}oauth2/device`, {
          client_id: clientId,
          scope: `${API} ${deviceScope('TELEVISION')}`,
        }),
      'device poll': () =>
        post(`${postern.url}oauth2/token`, {
          grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
          client_id: clientId,
          device_code: 'x'.repeat(43),
        }),
      'authorization page': () => browser.get(authorizationRequest(postern, clientId).url),
      'account page': () => browser.get(`${postern.url}account`),
      'sign-in form': () => stranger.submit(login, { username: 'alice', password: PASSWORD }),
      'legacy sign-in': () => passwordLogin(postern, 'alice'),
      'legacy refresh': () =>
        matrix(postern, 'POST', 'v3/refresh', { body: { refresh_token: older.refresh_token } }),
      'legacy logout': () => matrix(postern, 'POST', 'v3/logout', { token: leaving.access_token }),
      'legacy password change': () =>
        matrix(postern, 'POST', 'v3/account/password', {
          token: older.access_token,
          body: { new_password: 'another horse battery staple' },
        }),
    }
    relay[how]()
    onTestFinished(() => relay.mend())
    const found = await Promise.all(
      Object.entries(asked).map(async ([name, ask]) => {
        const started = performance.now()
        const { status, headers } = await ask()
        const quick = performance.now() - started < 15_000
        return [name, { status, later: headers.get('retry-after') !== null, quick }] as const
      }),
    )
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(found.map(([name]) => [name, { status: 503, later: true, quick: true }])),
    )
    relay.mend()

    await expect.poll(async () => (await fetch(`${postern.url}ready`)).status, { timeout: 15_000 }).toBe(200)
    const { registration, exchange: redeem, refresh: renew, ...rest } = asked
    expect((await registration?.())?.status).toBeLessThan(300)
    expect((await redeem?.())?.status).toBe(200)
    const renewed = (await (await refresh(postern, clientId, tokens.refresh_token)).json()) as Tokens
    expect((await introspect(postern, renewed.access_token)).body.active).toBe(true)
    for (const name of ['sign-in form', 'account page', 'legacy sign-in', 'legacy refresh'] as const) {
      expect([name, (await rest[name]?.())?.status]).toEqual([name, name === 'sign-in form' ? 303 : 200])
    }
    expect((await rest.revocation?.())?.status).toBe(200)
    expect((await introspect(postern, leaving.access_token)).body.active).toBe(false)
  })
}

test('check 72: a database that hangs in the middle of an exchange leaves the code as it was', async () => {
  const { code, request } = await authorize(postern, clientId, 'alice', scope('MIDDLE'))
  onTestFinished(() => relay.mend())
  relay.freezeAt('COMMIT;', 'before')
  const answer = await exchange(postern, clientId, code, request.verifier)
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).not.toBeNull()
  relay.mend()
  await expect
    .poll(async () => (await exchange(postern, clientId, code, request.verifier)).status, { timeout: 15_000 })
    .toBe(200)
})

test.each(['before', 'after'] as const)(
  'check 72: a database that hangs %s a refresh was done signs nobody out',
  async (when) => {
    const tokens = await obtainTokens(postern, clientId, 'alice', scope('REFRESHING'))
    onTestFinished(() => relay.mend())
    relay.freezeAt(hashSecret(tokens.refresh_token), when)
    const answer = await refresh(postern, clientId, tokens.refresh_token)
    expect(answer.status).toBe(503)
    relay.mend()
    let again = await refresh(postern, clientId, tokens.refresh_token)
    await expect
      .poll(async () => {
        again = await refresh(postern, clientId, tokens.refresh_token)
        return again.status
      })
      .toBe(200)
    const pair = (await again.json()) as Tokens
    expect((await introspect(postern, pair.access_token)).body.active).toBe(true)
    expect((await refresh(postern, clientId, pair.refresh_token)).status).toBe(200)
  },
)
