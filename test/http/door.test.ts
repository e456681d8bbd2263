import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAgent } from '../support/agent.ts'
import {
  addUser,
  authorizationRequest,
  exchange,
  obtainTokens,
  PASSWORD,
  post,
  registerClient,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern({
    config: {
      http: { trusted_proxies: [] },
      limits: { sign_in_per_address: { points: 3, per_seconds: 300 } },
    },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

/** A request as it stands on the wire: fetch would not send another Host, nor an odd target. */
async function raw(
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: object } = {},
) {
  const { port } = new URL(postern.url)
  const sent = request({ host: 'localhost', port, path, method, headers: { ...headers } })
  sent.end()
  const [answer] = await once(sent, 'response')
  let body = ''
  for await (const chunk of answer) body += chunk
  return { status: answer.statusCode as number, headers: answer.headers as Record<string, string>, body }
}

/** The status of the answer to a request that node:http would not even send. */
async function onTheWire(head: string): Promise<number> {
  const socket = connect(Number(new URL(postern.url).port), 'localhost')
  socket.end(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
}

describe('check 36: refusals are not kept either', () => {
  const cases: [string, () => Promise<Response>][] = [
    ['token', () => exchange(postern, clientId, 'nothing', 'x'.repeat(43))],
    ['introspect', () => post(`${postern.url}oauth2/introspect`, { token: 'x' })],
    [
      'introspect',
      () => post(`${postern.url}oauth2/introspect`, { token: 'x' }, { authorization: 'Bearer wrong' }),
    ],
    [
      'userinfo',
      () => fetch(`${postern.url}oauth2/userinfo`, { headers: { authorization: 'Bearer mat_wrong' } }),
    ],
    ['device', () => post(`${postern.url}oauth2/device`, { client_id: 'nobody' })],
    ['revoke', () => post(`${postern.url}oauth2/revoke`, {})],
  ]
  test.each(cases)('%s', async (_name, send) => {
    const answer = await send()
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect(answer.headers.get('cache-control')).toContain('no-store')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })
})

describe('check 37: another origin', () => {
  const origin = { origin: 'https://app.example' }

  test.each([
    ['.well-known/openid-configuration', 'GET'],
    ['.well-known/oauth-authorization-server', 'GET'],
    ['oauth2/keys.json', 'GET'],
    ['oauth2/token', 'POST'],
    ['oauth2/revoke', 'POST'],
    ['oauth2/registration', 'POST'],
    ['oauth2/device', 'POST'],
    ['oauth2/userinfo', 'GET'],
  ])('may ask and read %s, refusals too, without credentials', async (path, method) => {
    const asked = { ...origin, 'access-control-request-method': method }
    const headers = { ...asked, 'access-control-request-headers': 'authorization, content-type' }
    const preflight = await fetch(postern.url + path, { method: 'OPTIONS', headers })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toContain(method)
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization')
    const answer = await fetch(postern.url + path, { method, headers: origin })
    for (const each of [preflight, answer]) {
      expect(each.headers.get('access-control-allow-origin')).toBe('*')
      expect(each.headers.get('access-control-allow-credentials')).toBeNull()
    }
  })

  test.each(['authorize', 'login', 'link', 'account/', 'oauth2/introspect', 'oauth2/logout', 'health'])(
    'may not read %s',
    async (path) => {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const headers = { ...origin, 'access-control-request-method': 'POST' }
        const answer = await fetch(postern.url + path, { method, headers, redirect: 'manual' })
        const cross = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))
        expect(cross).toEqual([])
      }
    },
  )
})

describe('check 51: a forged address of ours', () => {
  const forged = {
    host: 'evil.test',
    'x-forwarded-host': 'evil.test',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '1',
    'x-forwarded-prefix': '/evil',
    'x-original-url': '/evil',
    'x-rewrite-url': '/evil',
    forwarded: 'for=192.0.2.1;host=evil.test;proto=https',
  }

  test('changes nothing in the metadata, in redirects and on pages', async () => {
    const metadata = await raw('/.well-known/openid-configuration', { headers: forged })
    expect(JSON.parse(metadata.body)).toEqual(
      await (await fetch(`${postern.url}.well-known/openid-configuration`)).json(),
    )
    const { pathname, search } = new URL(authorizationRequest(postern, clientId).url)
    for (const path of [pathname + search, '/account/', '/login', '/nothing-here']) {
      const answer = await raw(path, { headers: forged })
      expect(answer.status).toBeLessThan(500)
      expect(JSON.stringify(answer)).not.toContain('evil')
    }
  })

  test('changes nothing in what a device shows', async () => {
    const { host: _host, ...headers } = forged
    const answer = await post(
      `${postern.url}oauth2/device`,
      { client_id: clientId, scope: 'openid' },
      headers,
    )
    const { verification_uri } = (await answer.json()) as { verification_uri: string }
    expect(verification_uri).toBe(`${postern.url}link`)
  })

  test('cannot come in the request line either', async () => {
    expect(await onTheWire('GET http://evil.test/login HTTP/1.1')).toBe(400)
    expect(await onTheWire('GET //evil.test/login HTTP/1.1')).toBe(400)
    expect(await onTheWire('OPTIONS * HTTP/1.1')).toBe(400)
  })
})

describe('check 52: X-Forwarded-For', () => {
  /** Wrong passwords for different names, each from an address that the header claims; the statuses. */
  async function wrongPasswords(service: TestPostern, addresses: string[]): Promise<number[]> {
    const statuses: number[] = []
    for (const address of addresses) {
      const agent = createAgent(service.url)
      const page = await agent.get(`${service.url}login`)
      const form = { username: `nobody${address.replaceAll('.', '')}`, password: 'wrong' }
      const answer = await agent.submit(page, form, { 'x-forwarded-for': address })
      statuses.push(answer.status)
    }
    return statuses
  }

  async function auditedAddresses(service: TestPostern): Promise<string[]> {
    return service.db('audit_events').whereNotNull('ip').distinct('ip').pluck('ip')
  }

  const claimed = ['198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.4', '198.51.100.5']

  test('from a peer that is not trusted neither escapes a limit nor enters a record', async () => {
    await obtainTokens(postern, clientId, 'alice')
    const statuses = await wrongPasswords(postern, claimed)
    expect(statuses.at(0)).not.toBe(429)
    expect(statuses.at(-1)).toBe(429)
    const addresses = await auditedAddresses(postern)
    expect(addresses.length).toBeGreaterThan(0)
    for (const address of addresses) expect(['127.0.0.1', '::1']).toContain(address)
  })

  test('from a trusted proxy is whom the limits count and the records name', async () => {
    const trusting = await startPostern({
      beside: postern,
      config: {
        http: { trusted_proxies: ['127.0.0.0/8', '::1/128'] },
        limits: { sign_in_per_address: { points: 3, per_seconds: 300 } },
      },
    })
    try {
      expect(await wrongPasswords(trusting, claimed)).not.toContain(429)
      const one = '198.51.100.77'
      expect((await wrongPasswords(trusting, [one, one, one, one, one])).at(-1)).toBe(429)
      expect(await auditedAddresses(trusting)).toEqual(expect.arrayContaining([...claimed, one]))
    } finally {
      await trusting.close()
    }
  })
})

test('methods that nothing here uses are refused at the door', async () => {
  for (const method of ['TRACE', 'PATCH', 'PROPFIND']) {
    const { status, headers } = await raw('/login', { method })
    expect(status).toBe(405)
    expect(headers.allow).toContain('GET')
  }
})

test('a statement that fails is logged without the values that were in it', async () => {
  await postern.db('rate_limits').delete()
  await postern.db.raw('alter table audit_events rename to audit_events_away')
  const before = postern.logged.length
  try {
    const agent = createAgent(postern.url)
    const page = await agent.get(`${postern.url}login`)
    const answer = await agent.submit(page, { username: 'alice', password: PASSWORD })
    expect(answer.status).toBe(500)
    expect(answer.body).not.toContain('audit_events')
  } finally {
    await postern.db.raw('alter table audit_events_away rename to audit_events')
  }
  const lines = postern.logged.slice(before).join('')
  expect(lines).toContain('audit_events')
  expect(lines).not.toMatch(/'alice'|127\.0\.0\.1|"::1"|'::1'/)
})
