import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAgent } from '../support/agent.ts'
import {
  API,
  addUser,
  authorizationRequest,
  authorize,
  exchange,
  introspect,
  obtainTokens,
  post,
  REDIRECT_URI,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const SECRET = 'a-secret-of-the-configured-client'
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  const configured = {
    auth_method: 'client_secret_basic',
    client_secret: SECRET,
    redirect_uris: [REDIRECT_URI],
  }
  postern = await startPostern({
    config: {
      clients: [
        { client_id: 'web', client_name: 'Web', ...configured },
        {
          client_id: 'robot',
          client_name: 'Robot',
          ...configured,
          auth_method: 'client_secret_post',
          grant_types: ['client_credentials'],
          scope: 'urn:mas:admin',
        },
      ] as never,
    },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const token = (form: Record<string, string> | string, headers: Record<string, string> = {}) =>
  post(`${postern.url}oauth2/token`, form, headers)
const error = async (response: Response) => ((await response.json()) as { error: string }).error
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const isActive = async (value: string) => (await introspect(postern, value)).body.active

describe('the code', () => {
  test('check 21: twice within ten seconds is refused and the tokens live on; later it ends the session', async () => {
    const { code, request } = await authorize(postern, clientId, 'alice')
    const tokens = (await (await exchange(postern, clientId, code, request.verifier)).json()) as Tokens
    expect(await error(await exchange(postern, clientId, code, request.verifier))).toBe('invalid_grant')
    expect(await isActive(tokens.access_token)).toBe(true)
    postern.clock.advance(30)
    expect(await error(await exchange(postern, clientId, code, request.verifier))).toBe('invalid_grant')
    expect(await isActive(tokens.access_token)).toBe(false)
    const [event] = await postern.db('audit_events').orderBy('id', 'desc').limit(1)
    expect(event).toMatchObject({ event: 'session.ended', details: { reason: 'code_replay' } })
    expect(event.ip).toBeTruthy()
  })

  test('check 22: twenty exchanges at once give one pair, and it works', async () => {
    const { code, request } = await authorize(postern, clientId, 'alice')
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => exchange(postern, clientId, code, request.verifier)),
    )
    const winners = answers.filter(({ status }) => status === 200)
    expect(winners).toHaveLength(1)
    const { access_token } = (await (winners[0] as Response).json()) as Tokens
    expect(await isActive(access_token)).toBe(true)
  })

  test('check 23: another client, another redirect URI, a wrong or no verifier is invalid_grant', async () => {
    const { code, request } = await authorize(postern, clientId, 'alice')
    const other = await registerClient(postern, { client_name: 'Other' })
    const tries = [
      exchange(postern, other, code, request.verifier),
      exchange(postern, clientId, code, request.verifier, { redirect_uri: 'https://app.example/other' }),
      exchange(postern, clientId, code, 'x'.repeat(43)),
      exchange(postern, clientId, code, ''),
    ]
    for (const answer of await Promise.all(tries)) expect(await error(answer)).toBe('invalid_grant')
    expect((await exchange(postern, clientId, code, request.verifier)).status).toBe(200)
  })

  test('check 24: a code is good for a minute', async () => {
    const { code, request } = await authorize(postern, clientId, 'alice')
    postern.clock.advance(61)
    expect(await error(await exchange(postern, clientId, code, request.verifier))).toBe('invalid_grant')
  })

  test('check 31: a request without a challenge is refused, so that no verifier can be added later', async () => {
    const agent = createAgent(postern.url)
    const params = { code_challenge: undefined, code_challenge_method: undefined }
    const answer = await agent.get(authorizationRequest(postern, 'web', params).url)
    expect(answer.location).toContain('error=invalid_request')
  })
})

describe('who asks and how', () => {
  test('check 32: password and implicit are no grants here, and a client gets only those it registered', async () => {
    for (const grant_type of ['password', 'implicit', 'nonsense']) {
      const form = { grant_type, client_id: clientId, username: 'alice', password: 'x' }
      expect(await error(await token(form))).toBe('unsupported_grant_type')
    }
    expect(await error(await token({ grant_type: 'client_credentials', client_id: clientId }))).toBe(
      'unauthorized_client',
    )
    expect(await error(await token({ grant_type: 'client_credentials' }, basic('web', SECRET)))).toBe(
      'unauthorized_client',
    )
  })

  test('check 33: a wrong secret is 401 with WWW-Authenticate, two methods are 400, a secret in the address is nothing', async () => {
    const form = { grant_type: 'client_credentials' }
    const wrong = await token(form, basic('web', 'wrong-secret-of-the-client'))
    expect(wrong.status).toBe(401)
    expect(wrong.headers.get('www-authenticate')).toContain('Basic')
    const two = await token({ ...form, client_id: 'web', client_secret: SECRET }, basic('web', SECRET))
    expect(two.status).toBe(400)
    const query = `${postern.url}oauth2/token?client_id=robot&client_secret=${SECRET}`
    expect((await post(query, form)).status).toBe(400)
    const publicWithSecret = await token({
      grant_type: 'authorization_code',
      client_id: clientId,
      client_secret: 'x',
      code: 'x',
    })
    expect(publicWithSecret.status).toBe(401)
  })

  test('check 35: only a POST with a form is read', async () => {
    expect([404, 405]).toContain((await fetch(`${postern.url}oauth2/token`)).status)
    expect(
      (await post(`${postern.url}oauth2/token?grant_type=refresh_token&client_id=${clientId}`, '')).status,
    ).toBe(400)
    for (const type of ['application/json', 'multipart/form-data; boundary=x', 'text/plain']) {
      expect((await token('{"grant_type":"refresh_token"}', { 'content-type': type })).status).toBe(400)
    }
  })

  test('check 36: what carries tokens is never stored', async () => {
    const { code, request } = await authorize(postern, clientId, 'alice')
    const answer = await exchange(postern, clientId, code, request.verifier)
    expect(answer.headers.get('cache-control')).toContain('no-store')
    const { access_token } = (await answer.json()) as Tokens
    expect((await introspect(postern, access_token)).headers.get('cache-control')).toContain('no-store')
    const userinfo = await fetch(`${postern.url}oauth2/userinfo`, {
      headers: { authorization: `Bearer ${access_token}` },
    })
    expect(userinfo.headers.get('cache-control')).toContain('no-store')
  })

  test('check 37: browser clients of any origin may call these, and no credentials go along', async () => {
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    for (const path of ['token', 'revoke', 'registration', 'userinfo', 'device', 'keys.json']) {
      const preflight = await fetch(`${postern.url}oauth2/${path}`, { method: 'OPTIONS', headers })
      expect(preflight.status).toBe(204)
      expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
      expect(preflight.headers.get('access-control-allow-credentials')).toBeNull()
    }
    const discovery = await fetch(`${postern.url}.well-known/openid-configuration`, { headers })
    expect(discovery.headers.get('access-control-allow-origin')).toBe('*')
    for (const path of ['authorize', 'login', 'account', 'oauth2/introspect', 'oauth2/logout']) {
      const answer = await fetch(`${postern.url}${path}`, { headers, redirect: 'manual' })
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    }
  })

  test('check 38: a body that is too large is refused at once, and headers that never end are cut off', async () => {
    for (const size of [100_000, 10_000_000]) {
      const started = performance.now()
      const status = await token(`a=${'x'.repeat(size)}`).then(
        ({ status }) => status,
        () => 413,
      )
      expect(status).toBe(413)
      expect(performance.now() - started).toBeLessThan(5000)
    }
    const { port } = new URL(postern.url)
    const closed = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), 'localhost', () =>
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: '),
      )
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      socket.on('close', () => resolve(answer))
      socket.on('error', () => resolve(answer))
    })
    expect(closed).toMatch(/408/)
  }, 90_000)

  test('check 39: a parameter that comes twice is refused', async () => {
    for (const name of ['grant_type', 'code', 'client_id']) {
      const form = `grant_type=authorization_code&client_id=${clientId}&code=x&redirect_uri=x&${name}=again`
      expect(await error(await token(form))).toBe('invalid_request')
    }
  })
})

describe('client_credentials', () => {
  test('a configured client gets the admin scope that the operator lists for it, and no refresh token', async () => {
    const form = {
      grant_type: 'client_credentials',
      client_id: 'robot',
      client_secret: SECRET,
      scope: 'urn:mas:admin',
    }
    const tokens = (await (await token(form)).json()) as Tokens
    expect(tokens.scope).toBe('urn:mas:admin')
    expect(tokens.refresh_token).toBeUndefined()
    const { body } = await introspect(postern, tokens.access_token)
    expect(body).toMatchObject({ active: true, client_id: 'robot' })
    expect(body.username).toBeUndefined()
    for (const scope of ['urn:synapse:admin:*', API, 'openid']) {
      expect(await error(await token({ ...form, scope }))).toBe('invalid_scope')
    }
  })

  test('a session that nothing can follow is over with its access token', async () => {
    const form = { grant_type: 'client_credentials', client_id: 'robot', client_secret: SECRET }
    const live = () => postern.db('sessions').where({ client_id: 'robot' }).whereNull('ended_at')
    expect((await token(form)).status).toBe(200)
    await postern.app.cleanUp()
    expect(await live()).not.toEqual([])
    postern.clock.advance(301)
    await postern.app.cleanUp()
    expect(await live()).toEqual([])
  })
})

describe('check 50: the id_token', () => {
  test.each([
    [undefined, 'RS256'],
    ['ES256', 'ES256'],
  ])(
    'registered with %s it is signed with %s, and says who signed in where and when',
    async (registered, alg) => {
      const id = await registerClient(postern, {
        client_name: `Signed ${alg}`,
        ...(registered ? { id_token_signed_response_alg: registered } : {}),
      })
      const tokens = await obtainTokens(postern, id, 'alice', { params: { nonce: 'n-0S6_WzA2Mj' } })
      const keys = (await (await fetch(`${postern.url}oauth2/keys.json`)).json()) as JSONWebKeySet
      const { payload } = await jwtVerify(tokens.id_token ?? '', createLocalJWKSet(keys), {
        issuer: postern.url,
        audience: id,
      })
      expect(decodeProtectedHeader(tokens.id_token ?? '').alg).toBe(alg)
      const userinfo = await fetch(`${postern.url}oauth2/userinfo`, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      })
      const claims = (await userinfo.json()) as Record<string, unknown>
      expect(claims).toMatchObject({ sub: payload.sub, username: 'alice', preferred_username: 'alice' })
      const digest = createHash('sha256').update(tokens.access_token).digest()
      expect(payload).toMatchObject({
        nonce: 'n-0S6_WzA2Mj',
        at_hash: digest.subarray(0, 16).toString('base64url'),
      })
      expect(Math.abs(Number(payload.auth_time) - postern.clock.now().getTime() / 1000)).toBeLessThan(60)
    },
  )

  test('check 49: the keys are public ones, each with its own ID, algorithm and use', async () => {
    const { keys } = (await (await fetch(`${postern.url}oauth2/keys.json`)).json()) as JSONWebKeySet
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
    expect(keys.map(({ alg }) => alg).sort()).toEqual(['ES256', 'RS256'])
    for (const key of keys) {
      expect(key.use).toBe('sig')
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(key).not.toHaveProperty(secret)
    }
  })
})
