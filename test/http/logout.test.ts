import { importJWK, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readSigningKeys } from '../../src/keys/signing-keys.ts'
import { createAgent } from '../support/agent.ts'
import { addUser, introspect, obtainTokens, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const AFTER = 'https://app.example/signed-out'
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern()
  await addUser(postern, 'alice')
  clientId = await registerClient(postern, { post_logout_redirect_uris: [AFTER] })
})
afterAll(() => postern.close())

const logout = (params: Record<string, string>) =>
  `${postern.url}oauth2/logout?${new URLSearchParams(params)}`

test('an app sends a person to sign out, who agrees and comes back with the state', async () => {
  const { agent, id_token = '', access_token } = await obtainTokens(postern, clientId, 'alice')
  const page = await agent.get(
    logout({ id_token_hint: id_token, post_logout_redirect_uri: AFTER, state: 'x y' }),
  )
  expect(page.status).toBe(200)
  expect(page.headers.get('content-security-policy')).toContain("form-action 'self' https://app.example")
  const answer = await agent.submit(page, {})
  expect(answer.status).toBe(303)
  expect(answer.location).toBe(`${AFTER}?state=x+y`)
  expect((await agent.get(`${postern.url}account`)).location).toContain('/login')
  // The app's own session is the app's to end.
  expect((await introspect(postern, access_token)).body).toMatchObject({ active: true })
})

test('check 47: a GET signs nobody out', async () => {
  const { agent, id_token = '' } = await obtainTokens(postern, clientId, 'alice')
  await agent.get(logout({ id_token_hint: id_token, post_logout_redirect_uri: AFTER }))
  await agent.get(logout({}))
  expect((await agent.get(`${postern.url}account`)).status).toBe(200)
})

test('check 47: an address that is not registered, or no app to have registered it, gives no redirect', async () => {
  const { agent, id_token = '' } = await obtainTokens(postern, clientId, 'alice')
  for (const params of [
    { id_token_hint: id_token, post_logout_redirect_uri: 'https://evil.example/' },
    { id_token_hint: id_token, post_logout_redirect_uri: `${AFTER}/more` },
    { post_logout_redirect_uri: AFTER },
    { client_id: 'nobody', post_logout_redirect_uri: AFTER },
    { id_token_hint: id_token, client_id: 'another' },
  ]) {
    const answer = await agent.get(logout(params))
    expect(answer.status).toBe(400)
    expect(answer.location).toBeUndefined()
  }
})

test('check 47: a hint that was tampered with is refused', async () => {
  const { agent, id_token = '' } = await obtainTokens(postern, clientId, 'alice')
  const [header, payload, signature = ''] = id_token.split('.')
  const forged = [
    `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
    `${header}.${Buffer.from(JSON.stringify({ aud: clientId, sub: 'x' })).toString('base64url')}.${signature}`,
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
    'nonsense',
  ]
  for (const id_token_hint of forged) {
    expect((await agent.get(logout({ id_token_hint, post_logout_redirect_uri: AFTER }))).status).toBe(400)
  }
})

test('whoever is not signed in is sent back at once, to a registered address', async () => {
  const { id_token = '' } = await obtainTokens(postern, clientId, 'alice')
  const stranger = createAgent(postern.url)
  const answer = await stranger.get(logout({ id_token_hint: id_token, post_logout_redirect_uri: AFTER }))
  expect(answer.location).toBe(AFTER)
  expect((await stranger.follow(await stranger.get(logout({})))).body).toContain('signed out')
})

test('a hint that has expired still tells which app asks', async () => {
  const { agent } = await obtainTokens(postern, clientId, 'alice')
  const keys = await readSigningKeys(postern.config.secrets.keys_folder)
  const key = keys.find(({ key: { alg } }) => alg === 'RS256')?.key
  if (!key) throw new Error('No key')
  const yesterday = Math.floor(postern.clock.now().getTime() / 1000) - 86_400
  const idToken = (claims: object) =>
    new SignJWT({ sub: 'anyone', aud: clientId, iss: postern.url, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key.kid })
      .setIssuedAt(yesterday)
      .setExpirationTime(yesterday + 60)
  const signed = await idToken({}).sign(await importJWK(key))
  const page = await agent.get(logout({ id_token_hint: signed, post_logout_redirect_uri: AFTER }))
  expect((await agent.submit(page, {})).location).toBe(AFTER)
  const elsewhere = await idToken({ iss: 'https://evil.example/' }).sign(await importJWK(key))
  expect((await agent.get(logout({ id_token_hint: elsewhere }))).status).toBe(400)
})

test('a request that is posted is asked about like one that is not', async () => {
  const { agent, id_token = '' } = await obtainTokens(postern, clientId, 'alice')
  const params = { id_token_hint: id_token, post_logout_redirect_uri: AFTER, state: 'back' }
  const page = await agent.follow(await agent.post(`${postern.url}oauth2/logout`, params))
  expect(page.status).toBe(200)
  expect((await agent.get(`${postern.url}account`)).status).toBe(200)
  expect((await agent.submit(page, {})).location).toBe(`${AFTER}?state=back`)
})

test('a parameter that comes twice is refused', async () => {
  const twice = `post_logout_redirect_uri=${AFTER}&post_logout_redirect_uri=https://evil.example`
  const agent = createAgent(postern.url)
  expect((await agent.get(`${postern.url}oauth2/logout?client_id=${clientId}&${twice}`)).status).toBe(400)
})
