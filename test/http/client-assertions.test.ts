import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAgent } from '../support/agent.ts'
import {
  addUser,
  authorizationRequest,
  authorize,
  introspect,
  post,
  REDIRECT_URI,
  registerClient,
  signIn,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

// Check 34 (RFC 7523) and pushed authorization requests (RFC 9126).

let postern: TestPostern
let key: CryptoKey
let other: CryptoKey
let jwks: { keys: object[] }

beforeAll(async () => {
  const pair = await generateKeyPair('ES256')
  key = pair.privateKey
  other = (await generateKeyPair('ES256')).privateKey
  jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] }
  postern = await startPostern({
    config: {
      clients: [
        {
          client_id: 'signed',
          client_name: 'Signed',
          auth_method: 'private_key_jwt',
          jwks,
          redirect_uris: [REDIRECT_URI],
          grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        },
      ] as never,
    },
  })
  await addUser(postern, 'alice')
})
afterAll(() => postern.close())

/** Answers as JWTs (JARM), which are off: nobody asked for them, and PKCE, `iss` and `state` do what they would. */
const JWT_MODES = ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt']

let count = 0
interface Claims {
  iss?: string
  sub?: string
  aud?: string | string[]
  exp?: number | undefined
  nbf?: number
  iat?: number
  jti?: string | undefined
}

async function assertion(claims: Claims = {}, by = key, clientId = 'signed', kid = 'one'): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const all = { iss: clientId, sub: clientId, aud: postern.url, exp: now + 60, jti: `${count++}`, ...claims }
  return new SignJWT(all as never).setProtectedHeader({ alg: 'ES256', kid }).sign(by)
}

const proof = (token: string) => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: token,
})
const ask = (token: string, more: Record<string, string> = {}) =>
  post(`${postern.url}oauth2/token`, { grant_type: 'client_credentials', ...proof(token), ...more })

describe('check 34: a client that signs', () => {
  it('is let in by a fresh assertion for the issuer or the token endpoint', async () => {
    for (const aud of [
      postern.url,
      `${postern.url}oauth2/token`,
      [postern.url, 'https://elsewhere.example'],
    ]) {
      const response = await ask(await assertion({ aud }))
      expect(response.status, String(aud)).toBe(200)
    }
  })

  it('is refused with anything else', async () => {
    const now = Math.floor(Date.now() / 1000)
    const used = await assertion()
    expect((await ask(used)).status).toBe(200)
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await assertion()).split('.')[1]}.`
    const hmac = await new SignJWT({
      iss: 'signed',
      sub: 'signed',
      aud: postern.url,
      jti: 'h',
      exp: now + 60,
    })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(JSON.stringify(jwks.keys[0])))
    const bad: Record<string, string> = {
      'used already': used,
      "somebody else's key": await assertion({}, other),
      'another audience': await assertion({ aud: 'https://elsewhere.example/' }),
      'a path that begins alike': await assertion({ aud: `${postern.url}evil` }),
      expired: await assertion({ exp: now - 120 }),
      'without an end': await assertion({ exp: undefined }),
      'without jti': await assertion({ jti: undefined }),
      'another issuer': await assertion({ iss: 'other' }),
      'good for longer than a day': await assertion({ exp: now + 2 * 86_400 }),
      'good for ever': await assertion({ exp: 1e15 }),
      'not good yet': await assertion({ nbf: now + 120 }),
      'no signature': none,
      'the public key as a shared secret': hmac,
    }
    for (const [what, token] of Object.entries(bad)) {
      const response = await ask(token)
      expect(response.status, what).toBe(401)
      expect(await response.json(), what).toMatchObject({ error: 'invalid_client' })
    }
    expect((await ask('nonsense')).status).toBe(400)
    const both = await ask(await assertion(), { client_secret: 'x' })
    expect(both.status).toBe(400)
    const bare = await post(`${postern.url}oauth2/token`, {
      grant_type: 'client_credentials',
      client_id: 'signed',
    })
    expect(bare.status).toBe(401)
  })

  it('is let in though its clock is some seconds ahead or behind', async () => {
    const now = Math.floor(Date.now() / 1000)
    for (const claims of [
      { iat: now + 10, nbf: now + 10 },
      { iat: now - 70, exp: now - 10 },
    ]) {
      expect((await ask(await assertion(claims))).status, JSON.stringify(claims)).toBe(200)
    }
  })

  it('is not let in by an assertion that another replica has seen', async () => {
    const beside = await startPostern({
      beside: postern,
      config: { http: { public_url: postern.url }, clients: postern.config.clients },
    })
    try {
      const token = await assertion()
      const { host } = beside.config.http.listeners[0] as { host: string }
      const { port } = beside.config.http.listeners[0] as { port: number }
      const there = await post(`http://${host}:${port}/oauth2/token`, {
        grant_type: 'client_credentials',
        ...proof(token),
      })
      expect(there.status).toBe(200)
      expect((await ask(token)).status).toBe(401)
    } finally {
      await beside.close()
    }
  })

  it('changes its keys: both are good while both are named, then the new one alone', async () => {
    const next = await generateKeyPair('ES256')
    const published = { ...(await exportJWK(next.publicKey)), kid: 'two', alg: 'ES256', use: 'sig' }
    const set = (keys: object[]) =>
      postern.db.raw(
        `update clients set metadata = jsonb_set(metadata, '{jwks}', ?) where client_id = 'signed'`,
        [JSON.stringify({ keys })],
      )
    const byNext = (kid: string) => assertion({}, next.privateKey, 'signed', kid)
    expect((await ask(await byNext('two'))).status).toBe(401)
    await set([...jwks.keys, published])
    expect((await ask(await byNext('two'))).status).toBe(200)
    expect((await ask(await assertion())).status).toBe(200)
    // The name says which key, and does not make one right.
    expect((await ask(await byNext('one'))).status).toBe(401)
    await set([published])
    expect((await ask(await assertion())).status).toBe(401)
    expect((await ask(await byNext('two'))).status).toBe(200)
    await set(jwks.keys)
  })

  it('of twenty twins of one assertion, lets one in', async () => {
    const token = await assertion()
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await ask(token)).status))
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  })

  it('exchanges a code and refreshes, also at our own endpoints, and nobody else can refresh for it', async () => {
    const { code, request } = await authorize(postern, 'signed', 'alice')
    const exchanged = await post(`${postern.url}oauth2/token`, {
      grant_type: 'authorization_code',
      code,
      redirect_uri: REDIRECT_URI,
      code_verifier: request.verifier,
      ...proof(await assertion()),
    })
    expect(exchanged.status).toBe(200)
    const tokens = (await exchanged.json()) as { refresh_token: string; access_token: string }
    const refresh = (more: Record<string, string>) =>
      post(`${postern.url}oauth2/token`, {
        grant_type: 'refresh_token',
        refresh_token: tokens.refresh_token,
        ...more,
      })
    expect((await refresh({ client_id: 'signed' })).status).toBe(401)
    const refreshed = await refresh(proof(await assertion()))
    expect(refreshed.status).toBe(200)
    const next = (await refreshed.json()) as { access_token: string }
    const seen = await post(`${postern.url}oauth2/introspect`, {
      token: next.access_token,
      ...proof(await assertion()),
    })
    expect(await seen.json()).toMatchObject({ active: true })
    const revoked = await post(`${postern.url}oauth2/revoke`, {
      token: next.access_token,
      ...proof(await assertion()),
    })
    expect(revoked.status).toBe(200)
    expect((await introspect(postern, next.access_token)).body.active).toBe(false)
  })

  it('may register itself with its public keys, never with private ones or an address to fetch', async () => {
    const register = (metadata: object) =>
      fetch(`${postern.url}oauth2/registration`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          client_uri: 'https://app.example/',
          redirect_uris: [REDIRECT_URI],
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'private_key_jwt',
          ...metadata,
        }),
      })
    const ok = await register({ jwks })
    expect(ok.status).toBe(201)
    const body = (await ok.json()) as Record<string, unknown>
    expect(body).toMatchObject({ token_endpoint_auth_method: 'private_key_jwt', jwks })
    expect(body).not.toHaveProperty('client_secret')
    const again = (await (await register({ jwks })).json()) as Record<string, unknown>
    expect(again.client_id).not.toBe(body.client_id)

    const secret = { ...jwks.keys[0], d: 'private' }
    for (const [metadata, words] of [
      [{}, /jwks must be/],
      [{ jwks: { keys: [] } }, /at least one key/],
      [{ jwks: 'text' }, /jwks must be/],
      [{ jwks: { keys: [secret] } }, /public keys only/],
      [{ jwks: { keys: [{ kty: 'oct', k: 'x' }] } }, /types/],
      [{ jwks_uri: `${postern.url}canary` }, /jwks_uri is not fetched/],
    ] as const) {
      const response = await register(metadata)
      expect(response.status).toBe(400)
      const refusal = (await response.json()) as { error: string; error_description: string }
      expect(refusal.error).toBe('invalid_client_metadata')
      expect(refusal.error_description).toMatch(words)
    }
    expect(postern.logged.join('')).not.toContain('/canary')
  })
})

describe('a pushed authorization request', () => {
  async function push(more: Record<string, string> = {}) {
    const request = authorizationRequest(postern, 'signed')
    const response = await post(`${postern.url}oauth2/par`, {
      ...request.params,
      ...proof(await assertion()),
      ...more,
    })
    return { request, response }
  }

  it('leads to the sign-in, once, however long that takes', async () => {
    const { request, response } = await push()
    expect(response.status).toBe(201)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const { request_uri, expires_in } = (await response.json()) as { request_uri: string; expires_in: number }
    expect(request_uri).toMatch(/^urn:ietf:params:oauth:request_uri:/)
    expect(expires_in).toBe(60)
    const url = `${postern.url}authorize?${new URLSearchParams({ client_id: 'signed', request_uri })}`
    const agent = createAgent(postern.url)
    let page = await agent.follow(await agent.get(url))
    expect(page.body).toContain('name="password"')
    postern.clock.advance(120)
    page = await signIn(agent, page, 'alice')
    const answer = await agent.follow(await agent.submit(page, { action: 'continue' }))
    const redirect = new URL(answer.location ?? '')
    expect(redirect.searchParams.get('state')).toBe(request.state)
    expect(redirect.searchParams.get('code')).not.toBeNull()
    const again = await createAgent(postern.url).get(url)
    expect(again.status).toBe(400)
    expect(again.location).toBeUndefined()
  })

  it('is refused without authentication, with another redirect URI, a parameter twice, or from another client', async () => {
    const { request } = await push()
    const bare = await post(`${postern.url}oauth2/par`, request.params)
    expect(bare.status).toBe(401)
    const elsewhere = await push({ redirect_uri: 'https://evil.example/' })
    expect(elsewhere.response.status).toBe(400)
    const body = new URLSearchParams({ ...request.params, ...proof(await assertion()) })
    expect((await post(`${postern.url}oauth2/par`, `${body}&state=twice`)).status).toBe(400)
    expect((await post(`${postern.url}oauth2/par`, `${body}&login_hint=%00`)).status).toBe(400)
    const { request_uri } = (await (await push()).response.json()) as { request_uri: string }
    const query = new URLSearchParams({ client_id: 'another', request_uri })
    expect((await createAgent(postern.url).get(`${postern.url}authorize?${query}`)).status).toBe(400)
  })

  it('is let in by an assertion for the endpoint itself, its issuer or the token endpoint', async () => {
    for (const aud of [`${postern.url}oauth2/par`, postern.url, `${postern.url}oauth2/token`]) {
      const { response } = await push(proof(await assertion({ aud })))
      expect(response.status, aud).toBe(201)
    }
    const { response } = await push(proof(await assertion({ aud: `${postern.url}authorize` })))
    expect(response.status).toBe(401)
  })

  it('is not pushed by another method, nor with a request_uri, a request or another client_id in it', async () => {
    const got = await fetch(`${postern.url}oauth2/par`)
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST'])
    const { response: first } = await push()
    const { request_uri } = (await first.json()) as { request_uri: string }
    for (const more of [
      { request_uri },
      { request_uri: 'https://elsewhere.example/' },
      { request: 'e30.e30.' },
      { client_id: 'another' },
    ]) {
      const { response } = await push(more)
      expect(response.status, JSON.stringify(more)).toBe(400)
    }
  })

  it('is over after a minute', async () => {
    const { response } = await push()
    const { request_uri } = (await response.json()) as { request_uri: string }
    const row = postern.db('oidc_records').where({ model: 'PushedAuthorizationRequest' })
    // The library reads its own clock: what it stored is made older.
    await row.update({
      payload: postern.db.raw(`jsonb_set(payload, '{exp}', to_jsonb((payload ->> 'exp')::int - 61))`),
    })
    const query = new URLSearchParams({ client_id: 'signed', request_uri })
    const answer = await createAgent(postern.url).get(`${postern.url}authorize?${query}`)
    expect(answer.status).toBe(400)
    expect(answer.location).toBeUndefined()
  })

  it('gives one code, however many browsers came by it at once', async () => {
    const { response } = await push()
    const { request_uri } = (await response.json()) as { request_uri: string }
    const url = `${postern.url}authorize?${new URLSearchParams({ client_id: 'signed', request_uri })}`
    const resumed = []
    for (let n = 0; n < 3; n++) {
      const agent = createAgent(postern.url)
      const page = await signIn(agent, await agent.follow(await agent.get(url)), 'alice')
      const { location = '' } = await agent.submit(page, { action: 'continue' })
      resumed.push({ agent, location })
    }
    // All that is left is the answer. The row is held until each has seen that the request was not used.
    const holding = await postern.db.transaction()
    await holding('oidc_records').where({ model: 'PushedAuthorizationRequest' }).forUpdate().select('model')
    const answering = Promise.all(resumed.map(({ agent, location }) => agent.get(location)))
    const blocked = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    const waiting = async () => (await postern.db.raw(blocked)).rows.length
    await expect.poll(waiting, { timeout: 15_000 }).toBe(3)
    await holding.commit()
    const answers = await answering
    const replies = answers.map(({ location }) => new URL(location ?? '').searchParams)
    expect(replies.filter((reply) => reply.has('code'))).toHaveLength(1)
    expect(replies.filter((reply) => reply.get('error') === 'invalid_request_uri')).toHaveLength(2)
  })

  it('is the only way where a client says so', async () => {
    const register = { client_uri: 'https://app.example/', redirect_uris: [REDIRECT_URI] }
    const strict = await registerClient(postern, { ...register, require_pushed_authorization_requests: true })
    const { url, params } = authorizationRequest(postern, strict)
    const refused = await createAgent(postern.url).get(url)
    expect(refused.body).toContain('Pushed Authorization Request must be used')
    const pushed = await post(`${postern.url}oauth2/par`, params)
    expect(pushed.status).toBe(201)
    const { request_uri } = (await pushed.json()) as { request_uri: string }
    const query = new URLSearchParams({ client_id: strict, request_uri })
    const agent = createAgent(postern.url)
    const page = await agent.follow(await agent.get(`${postern.url}authorize?${query}`))
    expect(page.body).toContain('name="password"')
  })

  it('is told of in the metadata, and response modes with JWTs are not', async () => {
    const metadata = (await (await fetch(`${postern.url}.well-known/openid-configuration`)).json()) as Record<
      string,
      unknown
    >
    expect(metadata).toMatchObject({
      pushed_authorization_request_endpoint: `${postern.url}oauth2/par`,
      token_endpoint_auth_methods_supported: expect.arrayContaining(['private_key_jwt']),
      response_modes_supported: ['form_post', 'fragment', 'query'],
    })
    const names = Object.keys(metadata)
    expect(names.filter((name) => name.startsWith('authorization_') && !name.endsWith('endpoint'))).toEqual([
      'authorization_response_iss_parameter_supported',
    ])
    for (const response_mode of [...JWT_MODES, 'web_message']) {
      const { response } = await push({ response_mode })
      expect(response.status, response_mode).toBe(400)
      const { url } = authorizationRequest(postern, 'signed', { response_mode })
      const answer = await createAgent(postern.url).get(url)
      expect(answer.location ?? answer.body, response_mode).toMatch(/unsupported.response.mode/)
      expect(answer.location ?? '', response_mode).not.toMatch(/[?&#]response=/)
    }
  })
})
