import { afterAll, beforeAll, expect, test } from 'vitest'
import { compatSession } from '../support/compat.ts'
import { type CollectedSpan, type FakeCollector, startFakeCollector } from '../support/fake-collector.ts'
import {
  addUser,
  authorize,
  exchange,
  introspect,
  PASSWORD,
  refresh,
  registerClient,
} from '../support/oauth.ts'
import { HOMESERVER_SECRET, startPostern, type TestPostern } from '../support/postern.ts'

let collector: FakeCollector
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  collector = await startFakeCollector()
  postern = await startPostern({
    config: { tracing: { endpoint: collector.endpoint, service_name: 'door' } },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(async () => {
  await postern?.close()
  await collector?.stop()
})

/** Every span of the trace that the newest span of this name belongs to, once it has arrived. */
async function traceOf(name: string, from: FakeCollector = collector): Promise<CollectedSpan[]> {
  const find = () => from.spans.findLast((one) => one.name === name)
  await expect.poll(find, { timeout: 10_000 }).toBeDefined()
  return from.spans.filter((one) => one.traceId === find()?.traceId)
}

function one(spans: CollectedSpan[], name: string): CollectedSpan {
  const found = spans.find((span) => span.name === name)
  if (!found) throw new Error(`No span ${name}, but ${spans.map((span) => span.name).join(', ')}`)
  return found
}

/** A caller's span: OpenTelemetry's and W3C's own example. */
const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
const traceparent = `00-${CALLER.traceId}-${CALLER.spanId}-01`

test('a sign-in is one trace: the request, the password, the database, and the homeserver, which is told', async () => {
  await compatSession(postern, 'alice')
  const spans = await traceOf('POST /_matrix/client/v3/login')
  const request = one(spans, 'POST /_matrix/client/v3/login')
  expect(request).toMatchObject({ kind: 2, parentSpanId: undefined, failed: false })
  expect(request.facts).toMatchObject({ 'http.response.status_code': 200, 'http.request.method': 'POST' })
  expect(one(spans, 'password check').parentSpanId).toBe(request.spanId)
  expect(one(spans, 'WITH sessions')).toMatchObject({ kind: 3, parentSpanId: request.spanId })
  const call = one(spans, 'POST /_synapse/mas/upsert_device')
  expect(call).toMatchObject({ kind: 3, facts: { 'http.response.status_code': 201 } })
  const told = postern.homeserver.calls.findLast(({ name }) => name === 'upsert_device')?.traceparent
  expect(told).toBe(`00-${call.traceId}-${call.spanId}-01`)
  expect(collector.bodies[0]).toMatchObject({
    resourceSpans: [
      {
        resource: {
          attributes: expect.arrayContaining([{ key: 'service.name', value: { stringValue: 'door' } }]),
        },
      },
    ],
  })
})

test('a job is a trace of its own', async () => {
  const spans = await traceOf('job user.sync')
  expect(one(spans, 'job user.sync')).toMatchObject({ kind: 5, parentSpanId: undefined })
  expect(one(spans, 'POST /_synapse/mas/provision_user').parentSpanId).toBe(
    one(spans, 'job user.sync').spanId,
  )
})

test('the introspection continues the trace of the homeserver, and shows the query of its batch', async () => {
  const { access_token } = await compatSession(postern, 'alice')
  await introspect(postern, access_token, { traceparent })
  const spans = await traceOf('introspection batch')
  const request = one(spans, 'POST /oauth2/introspect')
  expect(request).toMatchObject({ traceId: CALLER.traceId, parentSpanId: CALLER.spanId })
  const query = one(spans, 'introspection batch')
  expect(query).toMatchObject({ parentSpanId: request.spanId, facts: { 'postern.batch.size': 1 } })
})

test('the query of a batch stands in the trace of one of its requests, and links to the others', async () => {
  const { access_token } = await compatSession(postern, 'alice')
  const before = collector.spans.length
  await Promise.all(Array.from({ length: 30 }, () => introspect(postern, access_token)))
  const fresh = (name: string) => collector.spans.slice(before).filter((span) => span.name === name)
  await expect.poll(() => fresh('POST /oauth2/introspect').length, { timeout: 10_000 }).toBe(30)
  const told = fresh('introspection batch').flatMap((span) => [
    span.parentSpanId,
    ...span.links.map((l) => l.spanId),
  ])
  expect(new Set(told)).toEqual(new Set(fresh('POST /oauth2/introspect').map((span) => span.spanId)))
  expect(told).toHaveLength(30)
})

test("every line of a traced request's log carries the ID of its trace and of the request", async () => {
  const response = await refresh(postern, clientId, 'nothing')
  const spans = await traceOf('POST /oauth2/token')
  const id = response.headers.get('x-request-id') ?? ''
  const lines = postern.logged.filter((line) => line.includes(id)).map((line) => JSON.parse(line))
  expect(lines).toContainEqual(expect.objectContaining({ msg: 'request.ended', requestId: id }))
  for (const line of lines) expect(line.traceId).toBe(spans[0]?.traceId)
  expect(one(spans, 'POST /oauth2/token').facts['postern.request_id']).toBe(id)
})

test('nothing that a person typed or that lets somebody in is in any span', async () => {
  const { code, request, agent } = await authorize(postern, clientId, 'alice')
  const tokens = (await (await exchange(postern, clientId, code, request.verifier)).json()) as Record<
    string,
    string
  >
  await refresh(postern, clientId, tokens.refresh_token ?? '')
  await introspect(postern, tokens.access_token ?? '')
  await fetch(`${postern.url}setup/a-ticket-from-the-operator`)
  await fetch(`${postern.url}nowhere/unknown-path?code=${code}`)
  await traceOf('GET /setup/:ticket')
  await traceOf('GET other')
  await traceOf('POST /oauth2/token')
  const sent = JSON.stringify(collector.bodies)
  expect(sent).toContain('GET /interaction/:uid')
  const secrets = [
    ...[
      PASSWORD,
      HOMESERVER_SECRET,
      code,
      request.verifier,
      request.state,
      'a-ticket',
      'unknown-path',
      'alice',
    ],
    ...['access_token', 'refresh_token', 'id_token'].map((name) => tokens[name] ?? name),
    ...[...agent.cookies.values()].map(({ value }) => value),
  ]
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(4)
    expect(sent).not.toContain(secret)
    expect(sent).not.toContain(encodeURIComponent(secret))
  }
})

test('a traceparent from anybody but a trusted peer is not believed, and one that makes no sense is no trouble', async () => {
  const own = await startFakeCollector()
  const strict = await startPostern({
    config: { tracing: { endpoint: own.endpoint }, http: { trusted_proxies: [] } },
  })
  try {
    await fetch(`${strict.url}health`, { headers: { traceparent } })
    expect(one(await traceOf('GET /health', own), 'GET /health')).toMatchObject({ parentSpanId: undefined })
    expect(JSON.stringify(own.bodies)).not.toContain(CALLER.traceId)
    await fetch(`${postern.url}ready`, { headers: { traceparent: '00-zz-00f067aa0ba902b7-01' } })
    expect(one(await traceOf('GET /ready'), 'GET /ready').parentSpanId).toBeUndefined()
  } finally {
    await strict.close()
    await own.stop()
  }
})

test('with a sample ratio of 0 only what a trusted caller has sampled is recorded, and a stop sends the rest', async () => {
  const own = await startFakeCollector()
  const server = await startPostern({ config: { tracing: { endpoint: own.endpoint, sample_ratio: 0 } } })
  await fetch(`${server.url}health`)
  await fetch(`${server.url}health`, { headers: { traceparent: traceparent.replace(/01$/, '00') } })
  await fetch(`${server.url}ready`, { headers: { traceparent } })
  await server.close()
  expect(own.spans.map(({ name, traceId }) => [name, traceId])).toContainEqual(['GET /ready', CALLER.traceId])
  expect(own.spans.map(({ name }) => name)).not.toContain('GET /health')
  await own.stop()
})
