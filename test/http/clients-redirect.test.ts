import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern } from '../support/postern.ts'

const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

let postern: Awaited<ReturnType<typeof startPostern>>
let web: string
let native: string
beforeAll(async () => {
  postern = await startPostern({ config: { client_registration: { allow_insecure_uris: false } } })
  web = await register({ redirect_uris: ['https://app.example.com/cb'] })
  native = await register({
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/cb', 'http://[::1]/cb', 'http://localhost/cb', 'com.example.app:/cb'],
  })
})
afterAll(() => postern.close())

async function register(fields: object): Promise<string> {
  const response = await fetch(new URL('oauth2/registration', postern.url), {
    method: 'POST',
    body: JSON.stringify({
      client_uri: 'https://app.example.com/',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      ...fields,
    }),
  })
  return ((await response.json()) as { client_id: string }).client_id
}

function authorize(params: Record<string, string>) {
  const url = new URL('authorize', postern.url)
  const query = {
    response_type: 'code',
    scope: 'urn:matrix:client:api:* urn:matrix:client:device:ABCDEFGHIJ',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    state: 'state',
    ...params,
  }
  url.search = new URLSearchParams(query).toString()
  return fetch(url, { redirect: 'manual', headers: { accept: 'text/html' } })
}

describe('where an authorization request may redirect to', () => {
  test('a registered URI is accepted, and the person is asked to sign in', async () => {
    const answer = await authorize({ client_id: web, redirect_uri: 'https://app.example.com/cb' })
    expect(answer.status).toBe(303)
    expect(new URL(answer.headers.get('location')!, postern.url).origin).toBe(new URL(postern.url).origin)
  })

  test.each([
    'https://app.example.com/cb/evil',
    'https://app.example.com/cb?added=query',
    'https://app.example.com/cb/',
    'https://APP.example.com/cb',
    'https://app.example.com:8443/cb',
    'https://app.example.com:443/cb',
    'https://user@app.example.com/cb',
    'https://app.example.com@evil.org/cb',
    'https://evil.org/cb',
    'https://app.example.com/cb#',
    'javascript:alert(1)',
    'not a URI',
  ])(
    'check 1: %s, which is not exactly what was registered, gets a page and no redirect',
    async (redirect_uri) => {
      const answer = await authorize({ client_id: web, redirect_uri })
      expect(answer.status).toBe(400)
      expect(answer.headers.get('location')).toBeNull()
      expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
    },
  )

  test('check 2: a request without redirect_uri gets a page and no redirect', async () => {
    const answer = await authorize({ client_id: web })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('location')).toBeNull()
  })

  test.each([
    'http://127.0.0.1:51004/cb',
    'http://[::1]:8000/cb',
    'http://localhost:1/cb',
    'com.example.app:/cb',
  ])('check 3: a native app may be sent back to %s', async (redirect_uri) => {
    const answer = await authorize({ client_id: native, redirect_uri })
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')).not.toContain('error')
  })

  test.each([
    'http://localhost.evil:8000/cb',
    'http://127.0.0.1.evil:8000/cb',
    'http://127.0.0.1:8000@evil.org/cb',
    'http://127.0.0.1:8000/other',
    'http://127.0.0.2:8000/cb',
    'https://127.0.0.1:8000/cb',
    'com.example.app://cb',
    'com.example.app:/cb/x',
  ])('check 3: a native app may not be sent back to %s', async (redirect_uri) => {
    const answer = await authorize({ client_id: native, redirect_uri })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('location')).toBeNull()
  })

  test.each(['01ARZ3NDEKTSV4RRFFQ69G5FAV', '"><script>alert(1)</script>', 'x'.repeat(5000), '🦄'])(
    'a client that is not registered (%s) gets a page and no redirect',
    async (client_id) => {
      const answer = await authorize({ client_id, redirect_uri: 'https://app.example.com/cb' })
      expect(answer.status).toBe(400)
      expect(answer.headers.get('location')).toBeNull()
      expect(await answer.text()).not.toContain('<script>alert')
    },
  )
})
