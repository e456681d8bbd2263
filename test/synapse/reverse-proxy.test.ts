import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Echo, type Echoed, startEcho } from '../support/echo.ts'
import { freePort } from '../support/free-port.ts'
import { ACCOUNT_ROUTES, INSIDE, LOGIN_ROUTES, NEIGHBOURS, VERSIONS } from '../support/legacy-routes.ts'
import { type ProxyName, type RunningProxy, startDocumentedProxy } from '../support/proxies.ts'

// Quoted and bare, with a remark, and long: as generators and people write them.
const AS_TOKENS = ['wfghWEGh3wgWHEf3478sHFWE', 'f'.repeat(128), 'single-quoted_token.0']
const REGISTRATIONS = [
  `id: bridge\nas_token: ${AS_TOKENS[0]}\nhs_token: notThisOne\nurl: null\n`,
  `id: "other"\nas_token: "${AS_TOKENS[1]}"\nhs_token: 'norThis'\n`,
  `as_token: '${AS_TOKENS[2]}'   # made by hand\r\nid: third\r\n`,
]
/** A request whose path nobody has tidied up. */
function sendRaw(origin: string, path: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    request(origin, { path }, async (response) =>
      resolve({ status: response.statusCode, body: await text(response) }),
    )
      .once('error', reject)
      .end()
  })
}

let synapse: Echo
let postern: Echo

beforeAll(async () => {
  ;[synapse, postern] = await Promise.all([startEcho('synapse'), startEcho('postern')])
})
afterAll(async () => {
  await synapse?.close()
  await postern?.close()
})

describe.each<ProxyName>(['nginx', 'caddy'])('the documented %s', (name) => {
  let proxy: RunningProxy
  const at = { matrix: '', auth: '', site: '' }

  beforeAll(async () => {
    const ports = { matrix: await freePort(), auth: await freePort(), site: await freePort() }
    for (const [site, port] of Object.entries(ports)) at[site as keyof typeof at] = `http://127.0.0.1:${port}`
    proxy = await startDocumentedProxy(name, {
      synapse: synapse.address,
      postern: postern.address,
      ports,
      registrations: REGISTRATIONS,
    })
  })
  afterAll(() => proxy?.stop())

  async function send(method: string, url: string, headers: Record<string, string> = {}): Promise<Echoed> {
    const response = await fetch(url, { method, headers, ...(method === 'POST' ? { body: '{}' } : {}) })
    expect(response.status, `${method} ${url}`).toBe(200)
    return (await response.json()) as Echoed
  }
  const route = (method: string, path: string, headers?: Record<string, string>) =>
    send(method, `${at.matrix}/_matrix/client/${path}`, headers)

  test.each(VERSIONS)('sends what %s apps ask for where it is served', async (version) => {
    for (const [method, path, goesTo] of [...LOGIN_ROUTES, ...ACCOUNT_ROUTES, ...NEIGHBOURS]) {
      const seen = await route(method, `${version}${path}`, { authorization: 'Bearer mct_of_a_person' })
      expect(`${method} ${seen.url} to ${seen.name}`).toBe(
        `${method} /_matrix/client/${version}${path} to ${goesTo}`,
      )
    }
  })

  test('leaves other versions and everything else to Synapse', async () => {
    for (const path of ['v2/login', 'x/login', 'v3/v3/login', 'unstable/org.example/login', 'versions'])
      expect((await route('GET', path)).name, path).toBe('synapse')
    for (const path of [
      '_matrix/media/v3/config',
      '_synapse/client/new_user_consent',
      '_matrix/key/v2/server',
    ])
      expect((await send('GET', `${at.matrix}/${path}`)).name, path).toBe('synapse')
  })

  test('sends an appservice’s requests to Synapse, but its sign-in to Postern', async () => {
    for (const token of AS_TOKENS) {
      for (const headers of [{ authorization: `Bearer ${token}` }, { authorization: `bearer ${token}` }]) {
        for (const [method, path] of ACCOUNT_ROUTES)
          expect((await route(method, `v3${path}`, headers)).name, path).toBe('synapse')
        for (const [method, path] of LOGIN_ROUTES)
          expect((await route(method, `v3${path}`, headers)).name, path).toBe('postern')
      }
      const inAddress = await route('DELETE', `v3/devices/GHOST?user_id=%40g%3Ab&access_token=${token}`)
      expect(inAddress.name).toBe('synapse')
    }
  })

  test('takes nothing but a whole as_token for an appservice’s', async () => {
    const [token = ''] = AS_TOKENS
    for (const authorization of [
      `Bearer ${token}x`,
      `Bearer x${token}`,
      `Basic ${token}`,
      token,
      'Bearer notThisOne',
    ])
      expect((await route('POST', 'v3/delete_devices', { authorization })).name, authorization).toBe(
        'postern',
      )
    expect((await route('POST', 'v3/delete_devices')).name).toBe('postern')
  })

  test('gives each request an ID of its own, and lets nobody out there decide what is traced', async () => {
    const claims = { 'x-request-id': 'mine', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
    const ids = new Set<string>()
    const urls = [`${at.matrix}/_matrix/client/v3/login`, `${at.auth}/`, `${at.auth}/`]
    for (const url of urls) {
      const { headers } = await send('GET', url, claims)
      expect(headers.traceparent, url).toBeUndefined()
      ids.add(String(headers['x-request-id']))
    }
    expect(ids.size).toBe(urls.length)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f-]{32,36}$/)
  })

  test('tells both whose address it is, whatever the request claims', async () => {
    const claims = { 'x-forwarded-for': '192.0.2.66', 'x-forwarded-proto': 'gopher' }
    for (const url of [
      `${at.matrix}/_matrix/client/v3/login`,
      `${at.matrix}/_matrix/client/v3/sync`,
      `${at.auth}/`,
    ]) {
      const { headers } = await send('GET', url, claims)
      expect(headers['x-forwarded-for'], url).toBe('127.0.0.1')
      expect(headers['x-forwarded-proto'], url).toBe('http')
    }
  })

  test('passes addresses on as they were sent', async () => {
    for (const path of [
      'v3/directory/room/%23a%2Fb%3Aexample.org?via=a%20b',
      'v3/profile/@a%25b:example.org',
    ])
      expect((await route('GET', path)).url).toBe(`/_matrix/client/${path}`)
  })

  test('sends all of Postern’s own host to Postern', async () => {
    for (const path of [
      '',
      'authorize?x=1',
      '.well-known/openid-configuration',
      'account',
      'assets/a%20b.css',
    ])
      expect(await send('GET', `${at.auth}/${path}`)).toMatchObject({ name: 'postern', url: `/${path}` })
  })

  test('sends the well-known document to Synapse on both names, and keeps the rest inside', async () => {
    for (const site of [at.matrix, at.site])
      expect((await send('GET', `${site}/.well-known/matrix/client`)).name).toBe('synapse')
    for (const path of [
      '_synapse/mas/query_user?localpart=a',
      '_synapse/admin/v1/server_version',
      '',
      'health',
    ]) {
      const response = await fetch(`${at.matrix}/${path}`)
      expect(response.status, path).toBe(404)
      expect(response.headers.get('x-echo'), path).toBeNull()
    }
  })

  test('lets no spelling of an address reach what is kept inside', async () => {
    for (const path of INSIDE) {
      const { status, body } = await sendRaw(at.matrix, path)
      expect([400, 404], path).toContain(status)
      expect(body, path).not.toContain('"url"')
    }
  })

  test('logs what was asked without an appservice’s token', async () => {
    const [token = ''] = AS_TOKENS
    await route('POST', 'v3/delete_devices', { authorization: `Bearer ${token}` })
    await expect.poll(() => proxy.log()).toContain('/_matrix/client/v3/delete_devices')
    const lines = (await proxy.log()).split('\n').filter((line) => !line.includes('access_token='))
    expect(lines.length).toBeGreaterThan(20)
    for (const one of AS_TOKENS) expect(lines.join('\n')).not.toContain(one)
  })
})
