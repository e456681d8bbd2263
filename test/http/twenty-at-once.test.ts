import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hashSecret } from '../../src/tokens/format.ts'
import { createAgent } from '../support/agent.ts'
import { nightly } from '../support/nightly.ts'
import {
  addUser,
  authorize,
  exchange,
  introspect,
  obtainTokens,
  PASSWORD,
  post,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

// Twenty requests for the same thing at the same moment, again and again: never two winners, never a winner whose
// tokens are dead, never a 500. The nightly run (.ci/run) does it a hundred times over.

const RUNS = nightly ? 100 : 10
const many = { points: 100_000, per_seconds: 60 }
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern({
    config: {
      limits: { sign_in_per_address: many, sign_in_per_user: many },
      passwords: { max_queue: 1000 },
    },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const twenty = <T>(make: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, make))
const isActive = async (token: string) => (await introspect(postern, token)).body.active

test('one code, twenty exchanges', async () => {
  const { code, request, agent } = await authorize(postern, clientId, 'alice')
  await exchange(postern, clientId, code, request.verifier)
  const [row] = await postern
    .db('oidc_records')
    .where({ model: 'AuthorizationCode', id_hash: hashSecret(code) })
  for (let run = 0; run < RUNS; run++) {
    // The same authorization under a new code: a browser for each would take minutes.
    const next = randomBytes(32).toString('base64url')
    await postern.db('oidc_records').insert({
      ...row,
      payload: JSON.stringify(row.payload),
      id_hash: hashSecret(next),
      consumed_at: null,
      session_id: null,
      expires_at: new Date(postern.clock.now().getTime() + 60_000),
    })
    const answers = await twenty(() => exchange(postern, clientId, next, request.verifier))
    const winners = answers.filter(({ status }) => status === 200)
    expect(winners).toHaveLength(1)
    expect(answers.every(({ status }) => status === 200 || status === 400)).toBe(true)
    expect(await isActive(((await (winners[0] as Response).json()) as Tokens).access_token)).toBe(true)
  }
  expect(agent.cookies.size).toBeGreaterThan(0)
}, 120_000)

test('one refresh token, twenty refreshes', async () => {
  let current: Tokens = await obtainTokens(postern, clientId, 'alice')
  for (let run = 0; run < RUNS; run++) {
    const answers = await twenty(() => refresh(postern, clientId, current.refresh_token))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const pairs = (await Promise.all(answers.map((answer) => answer.json()))) as Tokens[]
    expect(new Set(pairs.map(({ refresh_token }) => refresh_token)).size).toBe(1)
    current = pairs[0] as Tokens
    expect(await isActive(current.access_token)).toBe(true)
  }
}, 120_000)

test('one device code, twenty polls', async () => {
  const [user] = await postern.db('users').where({ localpart: 'alice' })
  const now = postern.clock.now()
  for (let run = 0; run < RUNS; run++) {
    const code = randomBytes(32).toString('base64url')
    await postern.db('device_codes').insert({
      code_hash: hashSecret(code),
      user_code_hash: randomBytes(32),
      client_id: clientId,
      scope: 'urn:matrix:client:api:* urn:matrix:client:device:TWENTYPOLL',
      created_at: now,
      expires_at: new Date(now.getTime() + 600_000),
      interval_seconds: 5,
      status: 'approved',
      user_id: user.id,
      authenticated_at: now,
    })
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: clientId,
      device_code: code,
    }
    const answers = await twenty(() => post(`${postern.url}oauth2/token`, form))
    const winners = answers.filter(({ status }) => status === 200)
    expect(winners).toHaveLength(1)
    expect(answers.every(({ status }) => status === 200 || status === 400)).toBe(true)
    expect(await isActive(((await (winners[0] as Response).json()) as Tokens).access_token)).toBe(true)
  }
}, 120_000)

test('one sign-in form, posted twenty times', async () => {
  // Each run hashes twenty passwords, which takes half a second by design.
  for (let run = 0; run < RUNS; run++) {
    const agent = createAgent(postern.url)
    const page = await agent.get(`${postern.url}login`)
    const before = await postern.db('browser_sessions').count<{ count: number }[]>()
    // Twenty copies of the browser as it was when the button was pressed.
    const answers = await twenty(async () => {
      const twin = createAgent(postern.url)
      for (const [key, cookie] of agent.cookies) twin.cookies.set(key, cookie)
      const answer = await twin.submit(page, { username: 'alice', password: PASSWORD })
      return { status: answer.status, cookie: twin.cookies.get('postern_session /')?.value }
    })
    expect(answers.every(({ status }) => status === 303)).toBe(true)
    expect(new Set(answers.map(({ cookie }) => cookie)).size).toBe(1)
    const after = await postern.db('browser_sessions').count<{ count: number }[]>()
    expect(Number(after[0]?.count) - Number(before[0]?.count)).toBe(1)
    const headers = { cookie: `postern_session=${answers[0]?.cookie}` }
    expect((await fetch(`${postern.url}account`, { headers, redirect: 'manual' })).status).toBe(200)
  }
}, 400_000)
