import { request as send } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAccount } from '../support/account.ts'
import { createAgent } from '../support/agent.ts'
import { createRelay, type Relay } from '../support/faults/relay.ts'
import { addUser, introspect, PASSWORD, post } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

/** Loopback is trusted, as it is unless the configuration says otherwise. */
let postern: TestPostern
let strict: TestPostern
let relay: Relay

beforeAll(async () => {
  postern = await startPostern({ logLevel: 'trace' })
  relay = await createRelay(postern.config.database.uri ?? '')
  strict = await startPostern({
    beside: postern,
    config: { http: { trusted_proxies: [] }, database: { uri: relay.uri } },
    logLevel: 'trace',
  })
  await addUser(postern, 'alice')
})
afterAll(async () => {
  await strict?.close()
  await relay?.close()
  await postern?.close()
})

const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/

interface Line {
  level: number
  msg: string
  requestId?: string
  route?: string
}

function linesOf({ logged }: TestPostern, id: string | null): Line[] {
  return logged.map((line) => JSON.parse(line) as Line).filter((line) => line.requestId === id)
}

test('every answer carries the ID that stands in the lines of its request', async () => {
  for (const path of ['health', 'login', 'nowhere', 'oauth2/token', '_matrix/client/v3/login', 'authorize']) {
    const id = (await fetch(`${postern.url}${path}`)).headers.get('x-request-id')
    expect(id).toMatch(ULID)
    expect(linesOf(postern, id).map(({ msg }) => msg)).toContain('request.ended')
  }
})

test('what is refused at the door has an ID too', async () => {
  const sent = send(`${postern.url}login`, { method: 'PROPFIND' }).end()
  const headers = await new Promise<NodeJS.Dict<string | string[]>>((resolve) =>
    sent.on('response', (answer) => resolve(answer.resume().headers)),
  )
  const [line] = linesOf(postern, String(headers['x-request-id']))
  expect(line).toMatchObject({ msg: 'request.refused', status: 405 })
})

test("a trusted proxy's ID is taken over, so that both logs can be read together", async () => {
  const given = '7d5c3a52b8f14a6c9e0f1b2a3c4d5e6f'
  const response = await fetch(`${postern.url}health`, { headers: { 'x-request-id': given } })
  expect(response.headers.get('x-request-id')).toBe(given)
  expect(linesOf(postern, given)).not.toEqual([])
})

test('an ID from anybody else, or one that could pass for more than an ID, is replaced', async () => {
  const ask = async (to: TestPostern, id: string) =>
    (await fetch(`${to.url}health`, { headers: { 'x-request-id': id } })).headers.get('x-request-id')
  expect(await ask(strict, '7d5c3a52b8f14a6c9e0f1b2a3c4d5e6f')).toMatch(ULID)
  for (const id of ['"},{"level":60', 'a b', '../..', 'x'.repeat(65), '{"admin":true}', "' or 1=1"])
    expect(await ask(postern, id)).toMatch(ULID)
})

test('the page of an error shows the ID under which the log has it', async () => {
  await postern.db.raw('alter table audit_events rename to away')
  try {
    const agent = createAgent(postern.url)
    const page = await agent.get(`${postern.url}login`)
    const answer = await agent.submit(page, { username: 'alice', password: PASSWORD })
    expect(answer.status).toBe(500)
    const id = answer.headers.get('x-request-id')
    expect(answer.body).toContain(id)
    const lines = linesOf(postern, id)
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'request.failed', level: 50, route: '/login' }),
    )
  } finally {
    await postern.db.raw('alter table away rename to audit_events')
  }
})

test('what works again by itself is a warning, on the page with its ID, and wakes nobody up', async () => {
  const agent = await openAccount(strict, 'alice')
  relay.cut()
  try {
    const page = await agent.get(`${strict.url}account`)
    expect(page.status).toBe(503)
    const id = page.headers.get('x-request-id')
    expect(page.body).toContain(id)
    expect(linesOf(strict, id)).toContainEqual(
      expect.objectContaining({ msg: 'request.unavailable', level: 40, route: '/account' }),
    )
    const token = await post(`${strict.url}oauth2/token`, {
      grant_type: 'refresh_token',
      client_id: 'unknown',
      refresh_token: 'syr_something_imported_long_ago',
    })
    expect(token.status).toBe(503)
    expect(linesOf(strict, token.headers.get('x-request-id')).map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['request.unavailable', 'request.ended']),
    )
    // The job queue says on its own that it cannot go on.
    const errors = strict.logged.filter((line) => line.includes('"level":50') && line.includes('requestId'))
    expect(errors).toEqual([])
  } finally {
    relay.mend()
  }
})

test('a database that is away is logged once for all introspection, and once when it is back', async () => {
  const lines = (event: string) => strict.logged.filter((line) => line.includes(event)).length
  const look = async () => (await introspect(strict, 'syt_something_imported_long_ago')).status
  await expect.poll(look, { timeout: 10_000 }).toBe(200)
  const before = lines('batch.database_away')
  relay.cut()
  for (let n = 0; n < 5; n++) expect(await look()).toBe(503)
  expect(lines('batch.database_away')).toBe(before + 1)
  const back = lines('batch.database_back')
  relay.mend()
  await expect.poll(look, { timeout: 10_000 }).toBe(200)
  expect(lines('batch.database_back')).toBe(back + 1)
})

test('an introspection that fails for a reason of ours is answered and logged under one ID', async () => {
  // Nothing outside can make it fail so: the clock is what it asks first.
  const { now } = postern.clock
  postern.clock.now = () => {
    postern.clock.now = now
    throw new Error('a clock that stopped')
  }
  const { status, headers } = await introspect(postern, 'syt_something_imported_long_ago')
  expect(status).toBe(503)
  expect(linesOf(postern, headers.get('x-request-id'))).toMatchObject([
    { msg: 'introspection.failed', level: 50 },
  ])
})
