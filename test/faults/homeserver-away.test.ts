import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAgent } from '../support/agent.ts'
import { obtainLoginToken, passwordLogin, tokenLogin } from '../support/compat.ts'
import type { FakeTrouble } from '../support/fake-homeserver.ts'
import {
  API,
  addUser,
  authorize,
  deviceScope,
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

let postern: TestPostern
let clientId: string
const many = { points: 100_000, per_seconds: 60 }

beforeAll(async () => {
  postern = await startPostern({
    config: { limits: { sign_in_per_address: many, sign_in_per_user: many }, matrix: { request_timeout: 1 } },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

/** A device code that a person has approved. */
async function approvedDeviceCode(): Promise<string> {
  const started = await post(`${postern.url}oauth2/device`, {
    client_id: clientId,
    scope: `${API} ${deviceScope('TELEVISION')}`,
  })
  const { device_code, user_code } = (await started.json()) as { device_code: string; user_code: string }
  const agent = createAgent(postern.url)
  let page = await agent.follow(await agent.submit(await agent.get(`${postern.url}link`), { user_code }))
  page = await agent.follow(await agent.submit(page, { username: 'alice', password: PASSWORD }))
  await agent.follow(await agent.submit(page, { action: 'approve' }))
  return device_code
}

const poll = (code: string) =>
  post(`${postern.url}oauth2/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: clientId,
    device_code: code,
  })

async function expectLater(answer: Pick<Response, 'status' | 'headers'>): Promise<void> {
  expect(answer.status).toBe(503)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
}

const troubles: [string, FakeTrouble][] = [
  ['cuts the connection', 'cut'],
  ['says nothing', 'hang'],
  ['is a proxy with a page', 'bad gateway'],
  ['answers 200 with a page', 'nonsense'],
  ['breaks off in the middle', 'truncated'],
  ['answers with a list', 'list'],
  ['redirects', 'redirect'],
  ['never stops talking', 'endless'],
  ['is overloaded', { status: 429, errcode: 'M_LIMIT_EXCEEDED' }],
  ['does not know the secret', { status: 403 }],
]

test.each(troubles)(
  'a homeserver that %s costs nobody a code, a login token or a session',
  async (_, how) => {
    const { code, request } = await authorize(postern, clientId, 'alice')
    const deviceCode = await approvedDeviceCode()
    const loginToken = await obtainLoginToken(postern, 'alice')
    const signedIn = await obtainTokens(postern, clientId, 'alice', {
      params: { scope: `openid ${API} ${deviceScope('OTHERPHONE')}` },
    })
    const before = process.memoryUsage().rss

    postern.homeserver.trouble(how)
    const answers = await Promise.all([
      exchange(postern, clientId, code, request.verifier),
      poll(deviceCode),
      tokenLogin(postern, loginToken),
      passwordLogin(postern, 'alice'),
    ])
    for (const answer of answers) await expectLater(answer)
    // What needs no homeserver goes on.
    const next = await refresh(postern, clientId, signedIn.refresh_token)
    expect(next.status).toBe(200)
    const { access_token } = (await next.json()) as Tokens
    expect((await introspect(postern, access_token)).body.active).toBe(true)
    // Somebody signs out: over at once, the device goes later.
    expect((await post(`${postern.url}oauth2/revoke`, { token: access_token })).status).toBe(200)
    expect((await introspect(postern, access_token)).body.active).toBe(false)
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)

    postern.homeserver.recover()
    expect((await exchange(postern, clientId, code, request.verifier)).status).toBe(200)
    expect((await tokenLogin(postern, loginToken)).status).toBe(200)
    postern.clock.advance(30)
    expect((await poll(deviceCode)).status).toBe(200)
    expect((await passwordLogin(postern, 'alice')).status).toBe(200)
    await expect
      .poll(() => postern.homeserver.devices('alice'), { timeout: 30_000 })
      .not.toContain('OTHERPHONE')
  },
)
