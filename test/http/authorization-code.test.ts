import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  addUser,
  authorize,
  exchange,
  introspect,
  obtainTokens,
  post,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern()
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

test('a person signs in, consents, and the app gets tokens that the homeserver accepts', async () => {
  const { code, request, redirect } = await authorize(postern, clientId, 'alice')
  expect(redirect.searchParams.get('state')).toBe(request.state)
  expect(redirect.searchParams.get('iss')).toBe(postern.url)
  const response = await exchange(postern, clientId, code, request.verifier)
  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toContain('no-store')
  const tokens = (await response.json()) as Tokens
  expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 300 })
  const { status, body } = await introspect(postern, tokens.access_token)
  expect(status).toBe(200)
  expect(body).toMatchObject({
    active: true,
    username: 'alice',
    device_id: 'ABCDEFGHIJ',
    client_id: clientId,
    expires_in: 300,
  })
  expect(postern.homeserver.devices('alice')).toContain('ABCDEFGHIJ')
})

test('a refresh gives a new pair and the old access token dies', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const response = await refresh(postern, clientId, first.refresh_token)
  expect(response.status).toBe(200)
  const second = (await response.json()) as Tokens
  expect((await introspect(postern, first.access_token)).body).toEqual({ active: false })
  expect((await introspect(postern, second.access_token)).body).toMatchObject({ active: true })
})

test('revoking either token ends the session and its device', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const response = await post(`${postern.url}oauth2/revoke`, { token: tokens.access_token })
  expect(response.status).toBe(200)
  expect((await introspect(postern, tokens.access_token)).body).toEqual({ active: false })
  expect((await refresh(postern, clientId, tokens.refresh_token)).status).toBe(400)
  expect(postern.homeserver.devices('alice')).not.toContain('ABCDEFGHIJ')
})
