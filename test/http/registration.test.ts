import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern } from '../support/postern.ts'

const good = {
  client_name: 'Example',
  client_uri: 'https://app.example.com/',
  redirect_uris: ['https://app.example.com/cb'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
}

interface Registered {
  client_id: string
  client_secret?: string
  client_name?: string
  grant_types: string[]
  error?: string
  error_description?: string
}

let postern: Awaited<ReturnType<typeof startPostern>>
beforeAll(async () => {
  postern = await startPostern({
    config: {
      client_registration: { allow_insecure_uris: false },
      limits: { registration_per_address: { points: 60, per_seconds: 3600 } },
    },
  })
})
afterAll(() => postern.close())

async function post(body: string | object, url = postern.url) {
  const response = await fetch(new URL('oauth2/registration', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: 'https://app.example' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Registered }
}

describe('registration', () => {
  test('a public client gets an ID, no secret, and what was registered of its metadata', async () => {
    const { status, headers, body } = await post({
      ...good,
      grant_types: [...good.grant_types, 'urn:example:new'],
    })
    expect(status).toBe(201)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('content-type')).toMatch(/^application\/json/)
    expect(body).toMatchObject({ ...good, client_id: expect.stringMatching(/^[0-9A-Z]{26}$/) })
    expect(body).not.toHaveProperty('client_secret')
  })

  test('the same metadata gives the same client, in any order; other metadata gives another', async () => {
    const first = await post(good)
    const again = await post(Object.fromEntries(Object.entries(good).toReversed()))
    const other = await post({ ...good, client_name: 'Another' })
    expect(again.body.client_id).toBe(first.body.client_id)
    expect(other.body.client_id).not.toBe(first.body.client_id)
  })

  test('a client with a secret is always a new one', async () => {
    const confidential = { ...good, token_endpoint_auth_method: 'client_secret_basic' }
    const [one, two] = [await post(confidential), await post(confidential)]
    expect(one.body).toMatchObject({ client_secret: expect.any(String), client_secret_expires_at: 0 })
    expect(two.body.client_id).not.toBe(one.body.client_id)
    expect(two.body.client_secret).not.toBe(one.body.client_secret)
  })

  test('a dynamic client that asks for client_credentials is registered without it, and gets no token by it', async () => {
    const { status, body } = await post({
      ...good,
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['authorization_code', 'client_credentials'],
      scope: 'urn:mas:admin urn:synapse:admin:*',
    })
    expect(status).toBe(201)
    expect(body.grant_types).toEqual(['authorization_code'])
    const answer = await fetch(new URL('oauth2/token', postern.url), {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: body.client_id,
        client_secret: body.client_secret!,
        scope: 'urn:mas:admin',
      }),
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).not.toHaveProperty('access_token')
  })

  test('check 37: browsers may call it from anywhere, without credentials', async () => {
    const preflight = await fetch(new URL('oauth2/registration', postern.url), {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    })
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('content-type')
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull()
    const { headers } = await post({})
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })

  test('check 53: odd names are stored capped and without characters that deceive', async () => {
    const name = `<script>alert(1)</script>{{7*7}}\u202e${'x'.repeat(10_240)}`
    const { status, body } = await post({ ...good, client_name: name, 'client_name#fr': name })
    expect(status).toBe(201)
    expect(body.client_name).toHaveLength(256)
    expect(body.client_name).not.toContain('\u202e')
    expect(body.client_name).toContain('<script>alert(1)</script>{{7*7}}')
  })

  test('check 54: nothing is fetched from addresses that a client names', async () => {
    let hits = 0
    const canary = createServer((_, response) => {
      hits++
      response.end('{}')
    })
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve))
    const { port } = canary.address() as AddressInfo
    try {
      const answers = await Promise.all(
        [`http://127.0.0.1:${port}/`, `http://2130706433:${port}/`, `http://localhost:${port}/`].flatMap(
          (uri) => [
            post({ ...good, client_name: uri, jwks_uri: uri }),
            post({ ...good, client_name: uri, sector_identifier_uri: uri, subject_type: 'pairwise' }),
            post({ ...good, client_name: uri, logo_uri: uri }),
            post({ ...good, client_name: uri, jwks_uri: uri, token_endpoint_auth_method: 'private_key_jwt' }),
          ],
        ),
      )
      for (const { status, body } of answers) {
        expect([201, 400]).toContain(status)
        if (status === 201) expect(JSON.stringify({ ...body, client_name: '' })).not.toContain(String(port))
      }
      expect(hits).toBe(0)
    } finally {
      canary.close()
    }
  })

  test.each([
    ['web', 'http://app.example.com/cb'],
    ['web', 'https://app.example.com/cb#fragment'],
    ['web', 'https://evil.org/cb'],
    ['web', 'https://localhost/cb'],
    ['web', 'data:text/html,x'],
    ['native', 'file:///etc/passwd'],
    ['native', 'javascript:alert(1)'],
    ['native', 'org.evil.app:/cb'],
    ['native', 'com.example.app://cb'],
    ['native', 'http://localhost:8080/cb'],
    ['native', 'http://localhost.evil/cb'],
  ])('check 55: a %s client that names %s is refused', async (application_type, uri) => {
    const { status, body } = await post({ ...good, application_type, redirect_uris: [uri] })
    expect(status).toBe(400)
    expect(body.error).toBe('invalid_redirect_uri')
    expect(body.error_description).toContain('redirect_uris[0]')
  })

  test.each([
    ['a polluted prototype', '{"__proto__":{"isAdmin":true}}'],
    [
      'a polluted prototype beside good fields',
      JSON.stringify(good).replace('{', '{"__proto__":{"scope":"x"},'),
    ],
    ['a polluted constructor', '{"constructor":{"prototype":{"isAdmin":true}}}'],
    ['JSON 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['an object 100,000 deep', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['JSON as deep as fits', `{"redirect_uris":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    [
      '50,000 redirect URIs',
      JSON.stringify({
        ...good,
        redirect_uris: Array.from({ length: 50_000 }, (_, i) => `https://app.example.com/${i}`),
      }),
    ],
    [
      '1,000 redirect URIs',
      JSON.stringify({ ...good, redirect_uris: Array.from({ length: 1000 }, () => 'https://a') }),
    ],
    ['broken JSON', '{"client_uri":'],
    ['no object', '[]'],
    ['nothing', ''],
  ])('check 56: %s gets 400 at once, and the next one is served', async (_, body) => {
    // The best of a few: it is the service's time that counts, not what else the machine does
    let took = Number.POSITIVE_INFINITY
    for (let i = 0; i < 5 && took >= 100; i++) {
      const started = performance.now()
      const answer = await post(body)
      took = performance.now() - started
      expect(answer.status).toBe(400)
      expect(answer.body.error).toMatch(/^invalid_(request|client_metadata|redirect_uri)$/)
    }
    expect(took).toBeLessThan(100)
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined()
    expect((await post(good)).status).toBe(201)
  })

  test('invalid UTF-8 and NUL get 400', async () => {
    const answer = await fetch(new URL('oauth2/registration', postern.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.concat([Buffer.from('{"client_name":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
    })
    expect(answer.status).toBe(400)
    expect((await post({ ...good, client_name: 'a\0b' })).status).toBe(400)
    expect((await post(JSON.stringify(good).replace('Example', '\\ud800'))).status).toBe(400)
  })

  test('check 57: the same registration, however often and at once, is one client and never limited', async () => {
    const ids = new Set<string>()
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => post({ ...good, client_name: 'Repeated' })),
      )
      for (const { status, body } of answers) {
        expect(status).toBe(201)
        ids.add(body.client_id)
      }
    }
    expect(ids.size).toBe(1)
  })

  test('check 57: new registrations are limited for an address, with word of when to come back', async () => {
    let last = await post({ ...good, client_name: 'Flood' })
    for (let i = 0; i < 100 && last.status === 201; i++)
      last = await post({ ...good, client_name: `Flood ${i}` })
    expect(last.status).toBe(429)
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(last.body).not.toHaveProperty('client_id')
    expect((await post(good)).status).toBe(201)
  })
})
