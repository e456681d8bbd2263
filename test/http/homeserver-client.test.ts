import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { createHomeserver } from '../../src/homeserver/client.ts'
import { HomeserverError } from '../../src/homeserver/errors.ts'
import { createNoHomeserver } from '../../src/homeserver/no-homeserver.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { selfSigned } from '../support/self-signed.ts'

let fake: FakeHomeserver

beforeEach(async () => {
  fake = await startFakeHomeserver()
})

afterEach(() => fake.stop())

function client(options: { endpoint?: string; secret?: string; timeoutSeconds?: number } = {}) {
  return createHomeserver({
    endpoint: fake.url,
    secret: fake.secret,
    timeoutSeconds: 5,
    ...options,
  })
}

async function failureOf(call: Promise<unknown>): Promise<HomeserverError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof HomeserverError)) throw new Error(`Expected a HomeserverError, got ${String(error)}`)
  return error
}

async function withServer(listener: RequestListener, run: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('keys without a value are left out, because their presence alone means something to Synapse', async () => {
  await client().provisionUser({ localpart: 'alice' })
  await client().provisionUser({ localpart: 'alice', locked: false })
  await client().upsertDevice({ localpart: 'alice', deviceId: 'DEVICE' })
  expect(fake.calls.map((call) => call.body)).toEqual([
    { localpart: 'alice' },
    { localpart: 'alice', locked: false },
    { localpart: 'alice', device_id: 'DEVICE' },
  ])
})

test('e-mail addresses are never sent to the homeserver', async () => {
  await client().provisionUser({ localpart: 'alice', displayName: 'Alice', locked: true })
  expect(fake.calls[0]?.body).toEqual({ localpart: 'alice', set_displayname: 'Alice', locked: true })
})

test('a homeserver that hangs is unavailable after the time limit', async () => {
  fake.trouble('hang')
  const error = await failureOf(client({ timeoutSeconds: 0.1 }).queryUser('alice'))
  expect(error).toMatchObject({ code: 'homeserver_unavailable', status: 503 })
  expect(error.detail).toContain('no answer within 0.1 seconds')
})

test('the time limit covers the body too', async () => {
  await withServer(
    (_request, response) => response.writeHead(200).write('{'),
    async (endpoint) => {
      const error = await failureOf(client({ endpoint, timeoutSeconds: 0.1 }).queryUser('alice'))
      expect(error.code).toBe('homeserver_unavailable')
    },
  )
})

test('an answer without an end is not read to its end', async () => {
  fake.trouble('endless')
  const before = performance.now()
  const error = await failureOf(client({ timeoutSeconds: 20 }).queryUser('alice'))
  expect(error).toMatchObject({ code: 'homeserver_unavailable', status: 503 })
  expect(error.detail).toContain('its answer has no end')
  expect(performance.now() - before).toBeLessThan(10_000)
})

test('a homeserver that is away is unavailable', async () => {
  const endpoint = fake.url
  await fake.stop()
  const error = await failureOf(client({ endpoint }).queryUser('alice'))
  expect(error).toMatchObject({ code: 'homeserver_unavailable', status: 503 })
  expect(error.detail).toContain('ECONNREFUSED')
})

test.each([
  ['a 500', { status: 500 }],
  ['a 502', { status: 502 }],
  ['a limit', { status: 429, errcode: 'M_LIMIT_EXCEEDED' }],
  ['a page instead of JSON', 'nonsense'],
  ['a page of a proxy', 'bad gateway'],
  ['half an answer', 'truncated'],
  ['a list', 'list'],
  ['a cut connection', 'cut'],
] as const)('%s from the homeserver means that it is unavailable', async (_what, trouble) => {
  fake.trouble(trouble)
  for (const call of [
    () => client().queryUser('alice'),
    () => client().upsertDevice({ localpart: 'alice', deviceId: 'DEVICE' }),
  ]) {
    expect(await failureOf(call())).toMatchObject({ code: 'homeserver_unavailable', status: 503 })
  }
})

test('JSON of the wrong shape means that the homeserver is unavailable', async () => {
  await withServer(
    (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":1}'),
    async (endpoint) => {
      expect((await failureOf(client({ endpoint }).queryUser('alice'))).code).toBe('homeserver_unavailable')
    },
  )
})

test('a redirect is not followed, so the secret goes nowhere else', async () => {
  const seen: string[] = []
  await withServer(
    (request, response) => {
      seen.push(request.url ?? '')
      response.writeHead(302, { location: '/elsewhere' }).end()
    },
    async (endpoint) => {
      const error = await failureOf(client({ endpoint }).queryUser('alice'))
      expect(error.code).toBe('homeserver_misconfigured')
      expect(seen).toEqual(['/_synapse/mas/query_user?localpart=alice'])
    },
  )
})

test('a wrong secret says where to look, and never tells the secret', async () => {
  const error = await failureOf(client({ secret: 'a wrong one' }).queryUser('alice'))
  expect(error.code).toBe('homeserver_misconfigured')
  expect(error.detail).toContain('matrix_authentication_service.secret')
  expect(`${error.message} ${error.detail}`).not.toContain('a wrong one')
})

test('a connection that the homeserver closed in the meantime is made anew', async () => {
  let requests = 0
  await withServer(
    (request, response) => {
      requests += 1
      if (requests === 2) request.socket.destroy()
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    },
    async (endpoint) => {
      const homeserver = client({ endpoint })
      await homeserver.setDisplayName('alice', 'one')
      await homeserver.setDisplayName('alice', 'two')
      expect(requests).toBe(3)
    },
  )
})

test('an endpoint with a path keeps it', async () => {
  const urls: unknown[] = []
  await withServer(
    (request, response) => {
      urls.push(request.url)
      response.writeHead(200).end('{}')
    },
    async (endpoint) => {
      await client({ endpoint: `${endpoint}synapse` }).unsetDisplayName('alice')
      expect(urls).toEqual(['/synapse/_synapse/mas/unset_displayname'])
    },
  )
})

test('a homeserver behind TLS whose certificate nobody vouches for is not told the secret', async () => {
  const { key, cert } = await selfSigned()
  const seen: unknown[] = []
  const server = createTlsServer({ key, cert }, (request, response) => {
    seen.push(request.url)
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const error = await failureOf(client({ endpoint }).queryUser('alice'))
  expect(error.code).toBe('homeserver_unavailable')
  expect(error.detail).toContain('SELF_SIGNED_CERT')
  expect(seen).toEqual([])
})

test('device IDs that Synapse would only choke on later are refused here', async () => {
  for (const deviceId of ['', 'x'.repeat(256)]) {
    const error = await failureOf(client().upsertDevice({ localpart: 'alice', deviceId }))
    expect(error).toMatchObject({ code: 'homeserver_refused', errcode: 'M_INVALID_PARAM' })
  }
  expect(fake.calls).toEqual([])
})

test('without a homeserver every call succeeds', async () => {
  const none = createNoHomeserver()
  expect(none.configured).toBe(false)
  expect(await none.isLocalpartAvailable('alice')).toEqual({ available: true })
  expect(await none.queryUser('alice')).toBeUndefined()
  await none.upsertDevice({ localpart: 'alice', deviceId: 'DEVICE' })
  await none.deleteUser('alice', { erase: true })
})
