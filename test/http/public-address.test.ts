import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAgent } from '../support/agent.ts'
import {
  addUser,
  authorizationRequest,
  introspect,
  obtainTokens,
  refresh,
  registerClient,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern({ path: 'auth/' })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

async function metadata(url: string, headers: Record<string, string> = {}): Promise<Record<string, string>> {
  const response = await fetch(url, { headers })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, string>
}

test('below a path, every endpoint of the metadata is below that path, and the whole sign-in works', async () => {
  const found = await metadata(`${postern.url}.well-known/openid-configuration`)
  expect(found.issuer).toBe(postern.url)
  for (const [name, value] of Object.entries(found)) {
    if (name.endsWith('_endpoint') || name.endsWith('_uri')) expect(value.startsWith(postern.url)).toBe(true)
  }
  const tokens = await obtainTokens(postern, clientId, 'alice')
  expect((await introspect(postern, tokens.access_token)).body).toMatchObject({ active: true })
  expect((await refresh(postern, clientId, tokens.refresh_token)).status).toBe(200)
})

test('the metadata of an issuer with a path is also found after the host (RFC 8414 §3.1)', async () => {
  const { origin } = new URL(postern.url)
  const below = await metadata(`${postern.url}.well-known/openid-configuration`)
  expect(await metadata(`${origin}/.well-known/oauth-authorization-server/auth`)).toEqual(below)
  expect(await metadata(`${origin}/.well-known/oauth-authorization-server/auth/`)).toEqual(below)
})

test('what is not below the path is not ours', async () => {
  const { origin } = new URL(postern.url)
  expect((await fetch(`${origin}/health`)).status).toBe(404)
  expect((await fetch(`${origin}/authx/health`)).status).toBe(404)
})

test('check 51: what a request says of our address changes nothing', async () => {
  const evil = {
    'x-forwarded-host': 'evil.test',
    'x-forwarded-proto': 'https',
    forwarded: 'host=evil.test;proto=https',
  }
  const below = await metadata(`${postern.url}.well-known/openid-configuration`)
  expect(await metadata(`${postern.url}.well-known/openid-configuration`, evil)).toEqual(below)
  const agent = createAgent(postern.url)
  const answer = await agent.get(authorizationRequest(postern, clientId).url, evil)
  expect(answer.location?.startsWith(postern.url)).toBe(true)
})
