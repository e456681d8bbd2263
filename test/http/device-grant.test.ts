import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Agent, createAgent } from '../support/agent.ts'
import {
  API,
  addUser,
  deviceScope,
  introspect,
  post,
  registerClient,
  signIn,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const SCOPE = `openid ${API} ${deviceScope('DEVICEGRANT')}`
let postern: TestPostern
let clientId: string

interface Started {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  interval: number
  expires_in: number
}

beforeAll(async () => {
  postern = await startPostern({
    config: { limits: { user_code_per_address: { points: 10, per_seconds: 300 } } },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

async function start(scope = SCOPE): Promise<Started> {
  const response = await post(`${postern.url}oauth2/device`, { client_id: clientId, scope })
  expect(response.status).toBe(200)
  return (await response.json()) as Started
}

async function poll(
  device_code: string,
  client = clientId,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await post(`${postern.url}oauth2/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: client,
    device_code,
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Types the code, signs in and presses a button. */
async function decide(code: string, action: 'approve' | 'deny', agent: Agent = createAgent(postern.url)) {
  const entry = await agent.get(`${postern.url}link`)
  let page = await agent.follow(await agent.submit(entry, { user_code: code }))
  if (page.body.includes('name="password"')) page = await signIn(agent, page, 'alice')
  expect(page.body).toContain('Test app')
  return agent.follow(await agent.submit(page, { action }))
}

test('a device gets its tokens once a person has typed its code and agreed', async () => {
  const started = await start()
  expect(started).toMatchObject({ interval: 5, expires_in: 1200, verification_uri: `${postern.url}link` })
  expect(started.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
  expect(started.verification_uri_complete).toContain(started.user_code)
  expect(await poll(started.device_code)).toMatchObject({
    status: 400,
    body: { error: 'authorization_pending' },
  })
  const done = await decide(started.user_code.toLowerCase().replace('-', ' '), 'approve')
  expect(done.url).toContain('/link/done/approved')
  const { status, body } = await poll(started.device_code)
  expect(status).toBe(200)
  const tokens = body as unknown as Tokens
  expect(tokens).toMatchObject({ token_type: 'Bearer', scope: SCOPE })
  expect(tokens.id_token).toBeTruthy()
  const active = { active: true, username: 'alice', device_id: 'DEVICEGRANT' }
  expect((await introspect(postern, tokens.access_token)).body).toMatchObject(active)
  expect((await poll(started.device_code)).body.error).toBe('invalid_grant')
})

test('the code in the complete address is filled in already', async () => {
  const { verification_uri_complete, user_code } = await start()
  const page = await createAgent(postern.url).get(verification_uri_complete)
  expect(page.body).toContain(`value="${user_code}"`)
})

test('check 40: who polls too fast is told to slow down, and the interval grows by five seconds', async () => {
  const { device_code } = await start()
  expect((await poll(device_code)).body.error).toBe('authorization_pending')
  expect((await poll(device_code)).body.error).toBe('slow_down')
  postern.clock.advance(6)
  expect((await poll(device_code)).body.error).toBe('slow_down')
  postern.clock.advance(16)
  expect((await poll(device_code)).body.error).toBe('authorization_pending')
})

test('check 40: another client gets nothing for the code', async () => {
  const { device_code } = await start()
  const other = await registerClient(postern, { client_name: 'Other' })
  expect(await poll(device_code, other)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
})

test('check 40: a person who says no is the last word', async () => {
  const { device_code, user_code } = await start()
  expect((await decide(user_code, 'deny')).url).toContain('/link/done/denied')
  expect(await poll(device_code)).toMatchObject({ status: 400, body: { error: 'access_denied' } })
  const agent = createAgent(postern.url)
  const again = await agent.submit(await agent.get(`${postern.url}link`), { user_code })
  expect(again.status).toBe(400)
})

test('a code that nobody typed in expires', async () => {
  const { device_code, user_code } = await start()
  postern.clock.advance(1201)
  expect((await poll(device_code)).body.error).toBe('expired_token')
  const agent = createAgent(postern.url)
  expect((await agent.submit(await agent.get(`${postern.url}link`), { user_code })).status).toBe(400)
})

test('check 36: the answer with the codes is not stored anywhere', async () => {
  const response = await post(`${postern.url}oauth2/device`, { client_id: clientId, scope: SCOPE })
  expect(response.headers.get('cache-control')).toContain('no-store')
})

test('a client that did not register the grant, and a scope that it may not have, are refused', async () => {
  const other = await registerClient(postern, {
    grant_types: ['authorization_code'],
    client_name: 'No device',
  })
  const refused = await post(`${postern.url}oauth2/device`, { client_id: other, scope: SCOPE })
  expect(await refused.json()).toMatchObject({ error: 'unauthorized_client' })
  const scope = await post(`${postern.url}oauth2/device`, {
    client_id: clientId,
    scope: 'urn:synapse:admin:*',
  })
  expect(await scope.json()).toMatchObject({ error: 'invalid_scope' })
})

test('when the homeserver is away the answer is 503 and the code stays good', async () => {
  const { device_code, user_code } = await start()
  await decide(user_code, 'approve')
  postern.homeserver.trouble({ status: 500 }, 'upsert_device')
  expect((await poll(device_code)).status).toBe(503)
  postern.homeserver.recover()
  expect((await poll(device_code)).status).toBe(200)
})

test('twenty polls at once for an approved code: one gets the tokens, and they work', async () => {
  for (let run = 0; run < 5; run++) {
    const { device_code, user_code } = await start()
    await decide(user_code, 'approve')
    const answers = await Promise.all(Array.from({ length: 20 }, () => poll(device_code)))
    const winners = answers.filter(({ status }) => status === 200)
    expect(winners).toHaveLength(1)
    for (const { status, body } of answers) if (status !== 200) expect(body.error).toBe('invalid_grant')
    const token = String(winners[0]?.body.access_token)
    expect((await introspect(postern, token)).body).toMatchObject({ active: true })
  }
})

// The last one: it uses up what this address may guess.
test('check 40: a thousand guesses at a user code end after ten', async () => {
  const agent = createAgent(postern.url)
  const page = await agent.get(`${postern.url}link`)
  const statuses: number[] = []
  for (let guess = 0; guess < 15; guess++)
    statuses.push((await agent.submit(page, { user_code: 'BCDF-GHJK' })).status)
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(5)
  const { user_code } = await start()
  expect((await agent.submit(page, { user_code })).status).toBe(429)
})
