import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createAgent } from '../support/agent.ts'
import {
  API,
  addUser,
  authorizationRequest,
  authorize,
  deviceScope,
  obtainTokens,
  REDIRECT_URI,
  registerClient,
  signIn,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
/** A dynamic client that alice has signed in with before. */
let clientId: string

beforeAll(async () => {
  postern = await startPostern({
    config: {
      clients: [
        {
          client_id: 'skipper',
          client_name: 'House app',
          redirect_uris: [REDIRECT_URI],
          auth_method: 'none',
          skip_consent: true,
        },
        { client_id: 'tools', client_name: 'Tools', redirect_uris: [REDIRECT_URI], auth_method: 'none' },
      ],
    },
  })
  await addUser(postern, 'alice')
  await addUser(postern, 'admin', { admin: true })
  clientId = await registerClient(postern)
  await obtainTokens(postern, clientId, 'alice')
})
afterAll(() => postern.close())

function request(params: Record<string, string | undefined> = {}, id = clientId) {
  return createAgent(postern.url).get(authorizationRequest(postern, id, params).url)
}

/** The parameters that a redirect to the app carries. */
function sent(location: string | undefined): URLSearchParams {
  if (!location?.startsWith(REDIRECT_URI)) throw new Error(`Not a redirect to the app: ${location}`)
  const url = new URL(location)
  return url.searchParams.size > 0 ? url.searchParams : new URLSearchParams(url.hash.slice(1))
}

describe('where the answer goes', () => {
  test.each([
    `${REDIRECT_URI}/more`,
    `${REDIRECT_URI}?added=1`,
    `${REDIRECT_URI}/`,
    'https://APP.example/callback',
    'https://app.example:8443/callback',
    'https://app.example@evil.example/callback',
    'https://evil.example/callback',
    'javascript:alert(1)',
  ])('check 1: the redirect URI %s is answered with a page and no redirect', async (redirect_uri) => {
    const answer = await request({ redirect_uri })
    expect(answer.status).toBe(400)
    expect(answer.location).toBeUndefined()
  })

  test('check 2: a request without a redirect URI is refused with a page', async () => {
    const answer = await request({ redirect_uri: undefined })
    expect(answer.status).toBe(400)
    expect(answer.location).toBeUndefined()
  })

  test('check 3: a native client may use any port of a loopback address, and only of that', async () => {
    const native = await registerClient(postern, {
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/cb', 'http://[::1]/cb', 'http://localhost/cb'],
    })
    for (const uri of ['http://127.0.0.1:4711/cb', 'http://[::1]:4711/cb', 'http://localhost:4711/cb']) {
      expect((await request({ redirect_uri: uri }, native)).status).toBe(303)
    }
    for (const uri of [
      'http://localhost.evil:4711/cb',
      'http://127.0.0.1.evil/cb',
      'http://127.0.0.1:4711/other',
    ]) {
      const answer = await request({ redirect_uri: uri }, native)
      expect(answer.status).toBe(400)
      expect(answer.location).toBeUndefined()
    }
  })

  test('check 4: an unknown client ID with markup is answered with an escaped page', async () => {
    const answer = await request({ client_id: '"><script>alert(1)</script>' })
    expect(answer.status).toBe(400)
    expect(answer.location).toBeUndefined()
    expect(answer.body).not.toContain('<script>alert(1)')
  })

  test('check 7: a parameter that comes twice is refused, at the registered address', async () => {
    for (const name of ['state', 'scope'] as const) {
      const { url } = authorizationRequest(postern, clientId)
      const answer = await createAgent(postern.url).get(`${url}&${name}=again`)
      expect(sent(answer.location).get('error')).toBe('invalid_request')
    }
    for (const name of ['client_id', 'redirect_uri'] as const) {
      const { url } = authorizationRequest(postern, clientId)
      const answer = await createAgent(postern.url).get(`${url}&${name}=https%3A%2F%2Fevil.example%2F`)
      expect(answer.location ?? '').not.toContain('evil.example')
      expect(answer.status).toBe(400)
    }
  })

  test('check 8: successes and errors name the issuer, and the metadata says so', async () => {
    const { redirect } = await authorize(postern, clientId, 'alice')
    expect(redirect.searchParams.get('iss')).toBe(postern.url)
    expect(sent((await request({ prompt: 'none' })).location).get('iss')).toBe(postern.url)
    const metadata = (await (await fetch(`${postern.url}.well-known/openid-configuration`)).json()) as Record<
      string,
      unknown
    >
    expect(metadata).toMatchObject({
      issuer: postern.url,
      authorization_response_iss_parameter_supported: true,
    })
  })

  test('check 15: an app that nobody has approved yet is told of an error only after a click', async () => {
    const stranger = await registerClient(postern, { client_name: 'Stranger' })
    for (const response_mode of ['query', 'fragment', 'form_post']) {
      const answer = await request({ scope: 'nonsense', response_mode }, stranger)
      expect(answer.status).toBe(400)
      expect(answer.location).toBeUndefined()
      expect(answer.body).toContain('app.example')
      expect(answer.body).toContain('error=invalid_scope')
      expect(answer.body).not.toMatch(/<form[^>]*action="https:\/\/app\.example/)
    }
    expect(sent((await request({ scope: 'nonsense' })).location).get('error')).toBe('invalid_scope')
  })
})

describe('what is asked for', () => {
  test.each(['token', 'id_token', 'code token', 'code id_token'])(
    'check 5: response type %s is not offered',
    async (response_type) => {
      const answer = await request({ response_type })
      const { error, access_token } = Object.fromEntries(sent(answer.location))
      expect(error).toBe('unsupported_response_type')
      expect(access_token).toBeUndefined()
    },
  )

  test.each([
    { code_challenge: undefined, code_challenge_method: undefined },
    { code_challenge_method: 'plain' },
    { code_challenge: 'tooshort10' },
    { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=' },
  ])('check 6: PKCE is needed and must be S256 (%o)', async (params) => {
    expect(sent((await request(params)).location).get('error')).toBe('invalid_request')
  })

  test.each(['request', 'request_uri', 'registration'])(
    'check 11: %s is refused and nothing is fetched',
    async (name) => {
      const canary = `${postern.url}canary`
      const answer = await request({ [name]: canary })
      expect(sent(answer.location).get('error')).toMatch(new RegExp(`${name}_not_supported`))
      expect(postern.logged.join('')).not.toContain('/canary')
    },
  )

  test('check 13: state comes back as it was, however strange', async () => {
    for (const state of ['a\r\nSet-Cookie: evil=1', 'x'.repeat(4096), '🙂 ü "<>&']) {
      const answer = await request({ prompt: 'none', state })
      expect(sent(answer.location).get('state')).toBe(state)
      expect(answer.headers.get('set-cookie') ?? '').not.toContain('evil')
    }
  })

  test.each(['%00', '%ff%fe', '%ed%a0%80', 'a%00b'])(
    'check 14: %s in a parameter never gives a 500',
    async (bytes) => {
      for (const name of ['login_hint', 'state', 'scope', 'client_id', 'nonce', 'ui_locales', 'prompt']) {
        const { url } = authorizationRequest(postern, clientId, { [name]: undefined })
        const answer = await createAgent(postern.url).get(`${url}&${name}=${bytes}`)
        expect(answer.status).toBe(400)
      }
    },
  )

  test.each([
    [`${API} ${deviceScope('AAAAAAAAAA')} ${deviceScope('BBBBBBBBBB')}`, 'two different devices'],
    [deviceScope('AAAAAAAAAA'), 'api'],
    [`${API} urn:unknown`, 'urn:unknown'],
    ['urn:synapse:admin:*', 'only for clients that the operator has added'],
    ['urn:mas:admin', 'only for clients that the operator has added'],
  ])('check 18: the scope %s is refused and the description says why', async (scope, words) => {
    const answer = sent((await request({ scope })).location)
    expect(answer.get('error')).toBe('invalid_scope')
    expect(answer.get('error_description')).toContain(words)
  })

  test('check 18: a plain user gets no admin scope, an administrator does', async () => {
    const scope = `${API} urn:synapse:admin:*`
    const agent = createAgent(postern.url)
    const page = await agent.follow(await agent.get(authorizationRequest(postern, 'tools', { scope }).url))
    const refused = sent((await signIn(agent, page, 'alice')).location)
    expect(refused.get('error')).toBe('invalid_scope')
    expect(refused.get('error_description')).toContain('administrators')
    const tokens = await obtainTokens(postern, 'tools', 'admin', { params: { scope } })
    expect(tokens.scope).toBe(scope)
  })
})

describe('who is asked', () => {
  test('check 9: prompt=none without a session says login_required, and goes with nothing else', async () => {
    expect(sent((await request({ prompt: 'none' })).location).get('error')).toBe('login_required')
    expect(sent((await request({ prompt: 'none login' })).location).get('error')).toBe('invalid_request')
  })

  test('a browser that is signed in already is asked for consent, not for a password', async () => {
    const { agent } = await obtainTokens(postern, clientId, 'alice')
    const page = await agent.follow(await agent.get(authorizationRequest(postern, clientId).url))
    expect(page.body).toContain('value="continue"')
    expect(page.body).not.toContain('name="password"')
  })

  test.each([{ prompt: 'login' }, { max_age: '1' }])(
    'check 10: %o asks a signed-in browser for the password again, and auth_time is new',
    async (params) => {
      const { agent, id_token } = await obtainTokens(postern, clientId, 'alice')
      // The library reads the system's time itself.
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
      onTestFinished(() => void vi.useRealTimers())
      const page = await agent.follow(await agent.get(authorizationRequest(postern, clientId, params).url))
      expect(page.body).toContain('name="password"')
      const again = await obtainTokens(postern, clientId, 'alice', { agent, params })
      const time = (token?: string) =>
        JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()).auth_time
      expect(time(again.id_token)).toBeGreaterThan(time(id_token))
    },
  )

  test('check 16: a posted form is answered with 303', async () => {
    const agent = createAgent(postern.url)
    const page = await agent.follow(await agent.get(authorizationRequest(postern, clientId).url))
    const signedIn = await agent.submit(page, { username: 'alice', password: 'correct horse battery staple' })
    expect(signedIn.status).toBe(303)
    const consent = await agent.follow(signedIn)
    const approved = await agent.submit(consent, { action: 'continue' })
    expect(approved.status).toBe(303)
  })

  test('check 17: a new app always gets the consent page, with its host, target, device and what it may do', async () => {
    const stranger = await registerClient(postern, { client_name: 'New app' })
    const { agent } = await obtainTokens(postern, clientId, 'alice')
    const page = await agent.follow(await agent.get(authorizationRequest(postern, stranger).url))
    for (const words of ['New app', 'app.example', 'ABCDEFGHIJ', '@alice:localhost.test'])
      expect(page.body).toContain(words)
    expect(page.body).toContain('value="continue"')
  })

  test('saying no goes back to the app with access_denied', async () => {
    const agent = createAgent(postern.url)
    const page = await agent.follow(await agent.get(authorizationRequest(postern, clientId).url))
    const answer = await agent.follow(
      await agent.submit(await signIn(agent, page, 'alice'), { action: 'cancel' }),
    )
    expect(sent(answer.location).get('error')).toBe('access_denied')
  })

  test('an app for which the operator skips consent gets its code right after the sign-in, and silently with prompt=none', async () => {
    const agent = createAgent(postern.url)
    const page = await agent.follow(await agent.get(authorizationRequest(postern, 'skipper').url))
    expect(sent((await signIn(agent, page, 'alice')).location).get('code')).toBeTruthy()
    const silent = await agent.follow(
      await agent.get(authorizationRequest(postern, 'skipper', { prompt: 'none' }).url),
    )
    expect(sent(silent.location).get('code')).toBeTruthy()
    const asked = await agent.follow(
      await agent.get(authorizationRequest(postern, 'skipper', { prompt: 'consent' }).url),
    )
    expect(asked.body).toContain('value="continue"')
  })

  test('check 19: another browser cannot open the page of an interaction', async () => {
    const answer = await request()
    expect(answer.location).toContain('/interaction/')
    const stolen = await createAgent(postern.url).get(answer.location ?? '')
    expect(stolen.status).toBe(400)
    expect(stolen.body).not.toContain('Test app')
  })

  test.each(['alice', '@alice:localhost.test', 'mxid:@alice:localhost.test'])(
    'login_hint %s fills in the user name',
    async (login_hint) => {
      const agent = createAgent(postern.url)
      const page = await agent.follow(
        await agent.get(authorizationRequest(postern, clientId, { login_hint }).url),
      )
      expect(page.body).toMatch(/name="username"[^>]*value="alice"|value="alice"[^>]*name="username"/)
    },
  )

  test('ui_locales comes before the browser language, which comes before English', async () => {
    const { url } = authorizationRequest(postern, clientId, { ui_locales: 'fr de' })
    const agent = createAgent(postern.url)
    expect((await agent.follow(await agent.get(url))).body).toContain('<html lang="de"')
    const other = await agent.get(authorizationRequest(postern, clientId).url)
    expect((await agent.get(other.location ?? '', { 'accept-language': 'de-AT,de;q=0.9' })).body).toContain(
      '<html lang="de"',
    )
  })

  test('prompt=select_account asks which account it is to be, then for consent', async () => {
    const { agent } = await obtainTokens(postern, clientId, 'alice')
    const { url } = authorizationRequest(postern, clientId, { prompt: 'select_account' })
    const choice = await agent.follow(await agent.get(url))
    expect(choice.body).toContain('@alice:localhost.test')
    expect(choice.body).toContain('value="switch"')
    const consent = await agent.follow(await agent.submit(choice, { action: 'continue' }))
    expect(consent.body).toContain('ABCDEFGHIJ')
    const answer = await agent.follow(await agent.submit(consent, { action: 'continue' }))
    expect(sent(answer.location).get('code')).toBeTruthy()
    const other = await agent.follow(await agent.get(url))
    const page = await agent.follow(await agent.submit(other, { action: 'switch' }))
    const switched = await signIn(agent, page, 'admin')
    expect(switched.body).toContain('@admin:localhost.test')
    expect(switched.body).toContain('ABCDEFGHIJ')
  })

  test('prompt=create shows the sign-in, as nobody can sign up', async () => {
    const agent = createAgent(postern.url)
    const { url } = authorizationRequest(postern, clientId, { prompt: 'create' })
    const page = await agent.follow(await agent.get(url))
    expect(page.body).toContain('name="password"')
    const consent = await signIn(agent, page, 'alice')
    const answer = await agent.follow(await agent.submit(consent, { action: 'continue' }))
    expect(sent(answer.location).get('code')).toBeTruthy()
  })

  test('an id_token_hint of someone else asks for that person', async () => {
    const { id_token } = await obtainTokens(postern, clientId, 'admin')
    const { agent } = await obtainTokens(postern, clientId, 'alice')
    const params = { id_token_hint: id_token ?? '' }
    const page = await agent.follow(await agent.get(authorizationRequest(postern, clientId, params).url))
    expect(page.body).toContain('name="password"')
    const silent = await agent.get(authorizationRequest(postern, clientId, { ...params, prompt: 'none' }).url)
    expect(sent(silent.location).get('error')).toBe('login_required')
  })
})

describe('what general OpenID Connect clients send', () => {
  test('profile and offline_access are let pass and left out', async () => {
    const tokens = await obtainTokens(postern, clientId, 'alice', {
      params: { scope: 'openid profile email offline_access' },
    })
    expect(tokens.scope).toBe('openid email')
    expect(tokens.refresh_token).toBeTruthy()
  })
})

describe('how it is sent', () => {
  test('an authorization request may be posted, too', async () => {
    const { params } = authorizationRequest(postern, clientId)
    const agent = createAgent(postern.url)
    const page = await agent.follow(await agent.post(`${postern.url}authorize`, params))
    expect(page.body).toContain('name="password"')
  })

  test.each(['query', 'fragment'])(
    'the answer comes in the %s where the app asks for it',
    async (response_mode) => {
      const { redirect } = await authorize(postern, clientId, 'alice', { params: { response_mode } })
      expect(redirect.hash !== '').toBe(response_mode === 'fragment')
    },
  )

  test('check 12: form_post escapes what it sends and has a strict policy', async () => {
    const state = '"><img src=x onerror=alert(1)>'
    const answer = await request({ response_mode: 'form_post', prompt: 'none', state })
    expect(answer.status).toBe(200)
    expect(answer.body).not.toContain('<img src=x')
    expect(answer.body).toContain('action="https://app.example/callback"')
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("form-action 'self' https://app.example")
    expect(policy).not.toContain('unsafe')
  })

  test('check 20: every page, errors included, carries the strict headers', async () => {
    const agent = createAgent(postern.url)
    const start = await agent.get(authorizationRequest(postern, clientId).url)
    const pages = [
      start,
      await agent.follow(start),
      await request({ client_id: 'nobody' }),
      await agent.get('/nowhere'),
    ]
    for (const { headers } of pages) {
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toContain("frame-ancestors 'none'")
      // A redirect shows nothing, and so may run nothing.
      if (headers.has('location')) expect(policy).toContain("default-src 'none'; form-action 'none'")
      else expect(policy).toMatch(/script-src 'nonce-[^']+'/)
      expect(policy).not.toContain('unsafe')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('same-origin')
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    }
  })
})
