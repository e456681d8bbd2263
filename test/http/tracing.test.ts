import { afterAll, beforeAll, expect, test } from 'vitest'
import { compatSession } from '../support/compat.ts'
import { type CollectedSpan, type FakeCollector, startFakeCollector } from '../support/fake-collector.ts'
import { addUser, introspect, obtainTokens, refresh, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let collector: FakeCollector
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  collector = await startFakeCollector()
  postern = await startPostern({ config: { tracing: { endpoint: collector.endpoint } } })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(async () => {
  await postern?.close()
  await collector.stop()
})

/** The server span of a request that names its trace, and everything below it, once it has arrived. */
async function traceOf(name: string, traceId?: string): Promise<CollectedSpan[]> {
  const find = () =>
    collector.spans.findLast((one) => one.name === name && (!traceId || one.traceId === traceId))
  await expect.poll(find, { timeout: 15_000 }).toBeDefined()
  const id = find()?.traceId
  return collector.spans.filter((one) => one.traceId === id)
}

const names = (spans: CollectedSpan[]) => new Set(spans.map(({ name }) => name))

test('a sign-in of an older app is one trace: the request, the password, the database, the homeserver', async () => {
  const before = postern.homeserver.calls.length
  await compatSession(postern, 'alice')
  await new Promise(r => setTimeout(r, 2500)); for (const s of collector.spans) console.log(s.traceId.slice(0,6), s.parentSpanId?.slice(0,4), s.spanId.slice(0,4), s.name, JSON.stringify(s.facts), s.failed)
  const spans = await traceOf('POST /_matrix/client/:version(v3|r0|v1)/login')
  expect(names(spans)).toContain('password check')
})
