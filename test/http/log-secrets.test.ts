import { once } from 'node:events'
import { connect } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromUuid } from '../../src/ids.ts'
import { openAccount } from '../support/account.ts'
import { createAgent } from '../support/agent.ts'
import { compatSession, matrix, obtainLoginToken, passwordLogin, tokenLogin } from '../support/compat.ts'
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
  REDIRECT_URI,
  refresh,
  registerClient,
  signIn,
} from '../support/oauth.ts'
import { HOMESERVER_SECRET, startPostern, type TestPostern } from '../support/postern.ts'
import { createSecrets, leaks } from '../support/secrets.ts'

// ASVS 5.0, V16.2.5: whatever happens, and at whatever level, no secret reaches the log. The secrets are not listed by
// hand: they are taken from the requests and the answers as they pass.

const secrets = createSecrets()
const plainFetch = globalThis.fetch
const CLIENT_SECRET = 'a client/secret of the+operator & more'
const WRONG = 'wrong "gramophone"/violet+12%'

let postern: TestPostern
/** The same service, with a wire to its database that can be cut. */
let wired: TestPostern
let relay: Relay
let clientId: string
let sign: () => Promise<string>

beforeAll(async () => {
  globalThis.fetch = secrets.watch(plainFetch)
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }
  const many = { points: 1000, per_seconds: 60 }
  const grant_types = ['client_credentials']
  const config = {
    clients: [
      { client_id: 'basic', auth_method: 'client_secret_basic', client_secret: CLIENT_SECRET, grant_types },
      { client_id: 'posted', auth_method: 'client_secret_post', client_secret: CLIENT_SECRET, grant_types },
      { client_id: 'signed', auth_method: 'private_key_jwt', jwks, grant_types },
    ] as never,
    limits: { sign_in_per_address: many, sign_in_per_user: many, user_code_per_address: many },
  }
  postern = await startPostern({ config, logLevel: 'trace' })
  relay = await createRelay(postern.config.database.uri ?? '')
  wired = await startPostern({
    beside: postern,
    config: { ...config, database: { uri: relay.uri } },
    logLevel: 'trace',
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
  secrets.add('the password', PASSWORD)
  secrets.add("the homeserver's secret", HOMESERVER_SECRET)
  secrets.add("the client's secret", CLIENT_SECRET)
  let count = 0
  sign = () =>
    new SignJWT({ iss: 'signed', sub: 'signed', aud: postern.url, jti: `one-${count++}` } as never)
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime('1 minute')
      .sign(privateKey)
})
afterAll(async () => {
  globalThis.fetch = plainFetch
  await wired?.close()
  await relay?.close()
  await postern?.close()
})

const basic = () => ({
  authorization: `Basic ${btoa(`basic:${new URLSearchParams({ x: CLIENT_SECRET }).toString().slice(2)}`)}`,
})
const credentials = (more: Record<string, string>, headers: Record<string, string> = {}) =>
  post(`${postern.url}oauth2/token`, { grant_type: 'client_credentials', ...more }, headers)

/** Everything that a person or an app sends with a secret in it, to a service in whatever state. */
async function everything(to: TestPostern): Promise<void> {
  const tokens = {
    access: 'mat_cxG6gZXyvelQWW9XqfNbm5KAQovodf_000000',
    refresh: 'syr_an-imported-refresh-token',
  }
  const agent = createAgent(to.url)
  const answers = await Promise.all([
    agent.post(`${to.url}login`, { username: 'alice', password: PASSWORD }),
    agent.get(`${to.url}setup/the-ticket-of-the-operator`),
    agent.get(`${to.url}link/BCDF-GHJK`),
    agent.get(`${to.url}account?access_token=${tokens.access}`, {
      cookie: 'postern_session=a-cookie-of-alice',
    }),
    agent.get(authorizationRequest(to, clientId, { nonce: 'a-nonce-of-the-app' }).url),
    exchange(to, clientId, 'a-code-of-the-app', 'a-verifier-of-the-app'.padEnd(43, 'x')),
    refresh(to, clientId, tokens.refresh),
    post(`${to.url}oauth2/token`, { grant_type: 'client_credentials' }, basic()),
    post(`${to.url}oauth2/revoke`, { client_id: clientId, token: tokens.refresh }),
    post(`${to.url}oauth2/introspect`, { token: tokens.access }, basic()),
    introspect(to, tokens.refresh),
    introspect(to, tokens.refresh, { authorization: 'Bearer some-other-secret' }),
    fetch(`${to.url}oauth2/userinfo`, { headers: { authorization: `Bearer ${tokens.refresh}` } }),
    passwordLogin(to, 'alice'),
    matrix(to, 'POST', 'v3/refresh', { body: { refresh_token: tokens.refresh } }),
    matrix(to, 'POST', 'v3/logout', { token: tokens.refresh }),
    tokenLogin(to, 'a-login-token-of-alice'),
    matrix(to, 'POST', 'v3/account/password', { token: tokens.refresh, body: { new_password: WRONG } }),
    fetch(`${to.url}oauth2/registration`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_secret: CLIENT_SECRET, redirect_uris: [REDIRECT_URI] }),
    }),
  ])
  expect(answers.length).toBeGreaterThan(10)
}

async function raw(head: string): Promise<void> {
  const socket = connect(Number(new URL(postern.url).port), 'localhost')
  socket.end(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  socket.resume()
  await once(socket, 'close')
}

const flows: [string, () => Promise<unknown>][] = [
  [
    'a sign-in, the exchange of its code, refresh, its replay, revocation',
    async () => {
      const { code, request } = await authorize(postern, clientId, 'alice', {
        params: { nonce: 'a-nonce-of-it' },
      })
      const exchanged = await exchange(postern, clientId, code, request.verifier)
      expect(exchanged.status).toBe(200)
      const { access_token, refresh_token } = (await exchanged.json()) as Record<string, string>
      expect((await exchange(postern, clientId, code, request.verifier)).status).toBe(400)
      expect((await introspect(postern, access_token ?? '')).body.active).toBe(true)
      const next = (await (await refresh(postern, clientId, refresh_token ?? '')).json()) as Record<
        string,
        string
      >
      await introspect(postern, next.access_token ?? '')
      await refresh(postern, clientId, next.refresh_token ?? '')
      postern.clock.advance(600)
      expect((await refresh(postern, clientId, refresh_token ?? '')).status).toBe(400)
      const { access_token: last } = await obtainTokens(postern, clientId, 'alice')
      const revoked = await post(`${postern.url}oauth2/revoke`, { client_id: clientId, token: last })
      expect(revoked.status).toBe(200)
    },
  ],
  [
    'a wrong password, on the page and of an older app, and a forged form',
    async () => {
      const agent = createAgent(postern.url)
      const page = await agent.get(`${postern.url}login`)
      expect((await signIn(agent, page, 'alice', WRONG)).status).not.toBe(200)
      expect((await passwordLogin(postern, 'alice', { password: WRONG })).status).toBe(403)
      const forged = await agent.submit(page, {
        username: 'alice',
        password: PASSWORD,
        csrf: 'forged-by-somebody',
      })
      expect(forged.status).toBeGreaterThanOrEqual(200)
      await agent.submit(page, { username: 'alice', password: PASSWORD }, { origin: 'https://evil.example' })
    },
  ],
  [
    'an older app: sign-in, refresh, single sign-on, sign-out',
    async () => {
      const session = await compatSession(postern, 'alice', { refresh_token: true })
      const body = { refresh_token: session.refresh_token }
      expect((await matrix(postern, 'POST', 'v3/refresh', { body })).status).toBe(200)
      const token = await obtainLoginToken(postern, 'alice')
      expect((await tokenLogin(postern, token)).status).toBe(200)
      expect((await tokenLogin(postern, token)).status).toBe(403)
      const { access_token } = await compatSession(postern, 'alice')
      const asked = await matrix(postern, 'POST', 'v3/account/password', {
        token: access_token,
        body: { new_password: WRONG },
      })
      expect(asked.status).toBe(401)
      const auth = {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'alice' },
        password: WRONG,
      }
      await matrix(postern, 'POST', 'v3/account/password', {
        token: access_token,
        body: { new_password: WRONG, auth: { ...auth, session: asked.body.session } },
      })
      expect((await matrix(postern, 'POST', 'v3/logout', { token: access_token })).status).toBe(200)
      expect((await matrix(postern, 'POST', 'v3/logout', { token: access_token })).status).toBe(401)
    },
  ],
  [
    'the device grant',
    async () => {
      const scope = `openid ${API} ${deviceScope('DEVICEGRANT')}`
      const started = await post(`${postern.url}oauth2/device`, { client_id: clientId, scope })
      const { device_code, user_code } = (await started.json()) as Record<string, string>
      const agent = createAgent(postern.url)
      const link = await agent.follow(await agent.get(`${postern.url}link/${user_code}`))
      expect(link.status).toBe(200)
      const entry = await agent.get(`${postern.url}link`)
      await agent.submit(entry, { user_code: 'BCDF-GHJK' })
      let page = await agent.follow(await agent.submit(entry, { user_code: user_code ?? '' }))
      if (page.body.includes('name="password"')) page = await signIn(agent, page, 'alice')
      await agent.follow(await agent.submit(page, { action: 'approve' }))
      const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
      const form = { grant_type, client_id: clientId, device_code: device_code ?? '' }
      expect((await post(`${postern.url}oauth2/token`, form)).status).toBe(200)
      expect((await post(`${postern.url}oauth2/token`, form)).status).toBe(400)
    },
  ],
  [
    'clients with a secret or a signature, right and wrong',
    async () => {
      expect((await credentials({}, basic())).status).toBe(200)
      expect((await credentials({ client_id: 'posted', client_secret: CLIENT_SECRET })).status).toBe(200)
      expect((await credentials({ client_id: 'posted', client_secret: WRONG })).status).toBe(401)
      expect((await credentials({}, { authorization: `Basic ${btoa(`basic:${WRONG}`)}` })).status).toBe(400)
      const type = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }
      const client_assertion = await sign()
      expect((await credentials({ ...type, client_assertion })).status).toBe(200)
      expect((await credentials({ ...type, client_assertion })).status).toBe(401)
      expect((await credentials({ ...type, client_assertion: `${client_assertion}x` })).status).toBe(401)
      const { request } = await authorize(postern, clientId, 'alice')
      await post(`${postern.url}oauth2/par`, request.params)
      await registerClient(postern, { token_endpoint_auth_method: 'client_secret_post' })
    },
  ],
  [
    'the set-up link, the account pages, a change of password, signing out',
    async () => {
      const path = (await postern.app.firstAdmin.issue()) ?? ''
      const admin = createAgent(postern.url)
      const page = await admin.get(path)
      expect(page.status).toBe(200)
      await admin.submit(page, { username: 'No Name', password: WRONG, password_again: PASSWORD })
      await admin.submit(page, { username: 'admin', password: PASSWORD, password_again: PASSWORD })
      expect((await createAgent(postern.url).get(path)).status).toBe(410)
      await addUser(postern, 'bob')
      const agent = await openAccount(postern, 'bob')
      const form = await agent.get(`${postern.url}account/password`)
      await agent.submit(form, { current_password: WRONG, new_password: WRONG, new_password_again: WRONG })
      await agent.submit(form, { current_password: PASSWORD, new_password: WRONG, new_password_again: WRONG })
      const { id_token = '' } = await obtainTokens(postern, clientId, 'alice')
      const logout = new URLSearchParams({ id_token_hint: id_token, state: 'a-state-of-the-app' })
      expect((await agent.get(`${postern.url}oauth2/logout?${logout}`)).status).toBe(200)
    },
  ],
  ['strangers with secrets that are none', () => everything(postern)],
  [
    'requests that make no sense',
    async () => {
      const json = { 'content-type': 'application/json' }
      const broken = `{"password":"${PASSWORD}","refresh_token":"mar_broken-in-the-middle`
      for (const path of ['_matrix/client/v3/login', '_matrix/client/v3/refresh', 'oauth2/registration'])
        await fetch(`${postern.url}${path}`, { method: 'POST', headers: json, body: broken })
      await fetch(`${postern.url}oauth2/token`, { method: 'POST', headers: json, body: broken })
      await post(`${postern.url}oauth2/token`, 'code=one-code-of-two&code=another-code-of-two&grant_type=x')
      await post(`${postern.url}login`, `password=${encodeURIComponent(PASSWORD)}%ff%00`)
      await post(`${postern.url}oauth2/introspect`, `token=${'long-token'.repeat(2000)}`, basic())
      secrets.add('a password in the address', 'a-password-in-the-address')
      await fetch(`${postern.url}unknown/a-password-in-the-address?password=a-password-in-the-address`)
      await raw('GET /login?password=a-password-in-the-address%00 HTTP/1.1')
      await raw('GET http://a-password-in-the-address@evil.example/ HTTP/1.1')
      await raw(
        'TRACE /a-password-in-the-address HTTP/1.1\r\nCookie: postern_session=a-password-in-the-address',
      )
      await raw('NONSENSE a-password-in-the-address')
      await raw(
        `GET / HTTP/1.1\r\nX-Request-Id: a-password-in-the-address "}\r\nCookie: ${'x'.repeat(20_000)}`,
      )
    },
  ],
  [
    'a homeserver that fails and repeats what it was sent',
    async () => {
      const { code, request } = await authorize(postern, clientId, 'alice')
      for (const status of [500, 403, 400]) {
        postern.homeserver.trouble({ status, echo: true })
        expect((await exchange(postern, clientId, code, request.verifier)).status).toBeGreaterThanOrEqual(400)
        expect((await passwordLogin(postern, 'alice')).status).toBeGreaterThanOrEqual(400)
      }
      const repeated = (event: string) =>
        [...postern.logged, ...wired.logged].some((line) => line.includes(event) && line.includes('[secret]'))
      expect(repeated('request.unavailable')).toBe(true)
      expect(repeated('request.failed')).toBe(true)
      const bob = await postern.db('users').where({ localpart: 'bob' }).first('id')
      await postern.app.accounts.lock(fromUuid(bob.id), { actor: 'operator' })
      await expect.poll(() => repeated('homeserver.refused'), { timeout: 10_000 }).toBe(true)
      postern.homeserver.recover()
      expect((await exchange(postern, clientId, code, request.verifier)).status).toBe(200)
    },
  ],
  [
    'statements that fail',
    async () => {
      const tables = ['tokens', 'browser_sessions', 'audit_events', 'clients', 'users']
      for (const table of tables) {
        await postern.db.raw(`alter table ${table} rename to away`)
        try {
          await everything(postern)
        } finally {
          await postern.db.raw(`alter table away rename to ${table}`)
        }
      }
      expect(postern.logged.join('')).toContain('request.failed')
      expect(postern.logged.join('')).toContain('provider.failed')
    },
  ],
  [
    'a database that is away',
    async () => {
      relay.cut()
      await everything(wired)
      expect(wired.logged.join('')).toContain('request.unavailable')
      expect(wired.logged.join('')).toContain('batch.database_away')
      relay.mend()
      await expect.poll(async () => (await fetch(`${wired.url}ready`)).status).toBe(200)
    },
  ],
]

describe('no secret reaches the log', () => {
  test.each(flows)('%s', { timeout: 180_000 }, async (_, flow) => {
    const [here, there] = [postern.logged.length, wired.logged.length]
    await flow()
    const lines = [...postern.logged.slice(here), ...wired.logged.slice(there)]
    expect(lines.length).toBeGreaterThan(0)
    expect(leaks(lines, secrets.all())).toEqual([])
  })

  test('in all of them together, whatever came late', () => {
    const kinds = new Set(secrets.all().values())
    // What must have passed, or the flows above did not do what they say.
    for (const kind of [
      ...[
        'password',
        'code',
        'code_verifier',
        'state',
        'refresh_token',
        'access_token',
        'id_token',
        'cookie',
      ],
      ...['client_secret', 'client_assertion', 'device_code', 'user_code', 'loginToken', 'authorization'],
      ...['a part of the path', 'request_uri'],
    ])
      expect(kinds).toContain(kind)
    expect(secrets.all().size).toBeGreaterThan(60)
    expect(leaks([...postern.logged, ...wired.logged], secrets.all())).toEqual([])
  })
})

test('the search for secrets finds them as they are and in every disguise', () => {
  const secret = 'violet gramophone/12+"quoted"'
  const all = new Map([[secret, 'password']])
  const bytes = Buffer.from(secret)
  for (const line of [
    secret,
    JSON.stringify({ a: secret }),
    JSON.stringify({ a: JSON.stringify({ b: secret }) }),
    encodeURIComponent(secret),
    new URLSearchParams({ password: secret }).toString(),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    Buffer.from(`a:${secret}`).toString('base64'),
    Buffer.from(`ab:${secret} and more`).toString('base64url'),
    Buffer.from(`abc:${secret} and more`).toString('base64'),
  ])
    expect(leaks(['{"msg":"before"}', `{"msg":"${line}"}`], all)).toHaveLength(1)
  expect(leaks(['{"msg":"request.ended"}'], all)).toEqual([])
})
