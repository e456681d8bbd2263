import { createClient } from 'matrix-js-sdk'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../support/browser.ts'
import {
  type App,
  clientOf,
  fillSignIn,
  prepareOAuth,
  signInWithBrowser,
  silent,
  startApp,
} from '../support/matrix-client.ts'
import { addUser, obtainTokens, REDIRECT_URI, refresh } from '../support/oauth.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { type RunningSynapse, startSynapse } from '../support/synapse.ts'

const SECRET = 'shared-by-both'
const SERVER_NAME = 'localhost.test'
let postern: TestPostern
let synapse: RunningSynapse
let browser: Browser
let app: App
const users = new Map<string, string>()

beforeAll(async () => {
  const port = await freePort()
  postern = await startPostern({
    homeserver: { endpoint: `http://127.0.0.1:${port}/`, secret: SECRET, serverName: SERVER_NAME },
    config: {
      matrix: { request_timeout: 20 },
      clients: [
        { client_id: 'tools', client_name: 'Tools', redirect_uris: [REDIRECT_URI], auth_method: 'none' },
      ] as never,
    },
  })
  synapse = await startSynapse({
    port,
    serverName: SERVER_NAME,
    delegated: { endpoint: postern.url, secret: SECRET },
  })
  browser = await launchBrowser()
  app = await startApp()
  for (const name of ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'])
    users.set(name, await addUser(postern, name))
  users.set('admin', await addUser(postern, 'admin', { admin: true }))
})
afterAll(async () => {
  await browser?.close()
  await app?.close()
  await synapse?.stop()
  await postern?.close()
})

const signIn = (username: string, options: { responseMode?: 'fragment' | 'query' } = {}) =>
  signInWithBrowser({ homeserver: synapse.url, app, browser, username, ...options })

async function whoami(token: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${synapse.url}/_matrix/client/v3/account/whoami`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** One `/sync`, as text: what the homeserver gives the app that asks with this token. */
async function sync(token: string): Promise<string> {
  const response = await fetch(`${synapse.url}/_matrix/client/v3/sync`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(response.status).toBe(200)
  return response.text()
}

test('from the metadata to a sent message, with a refresh and one whose answer got lost', async () => {
  const { client, oauth, accessToken, refreshToken, deviceId } = await signIn('alice', {
    responseMode: 'fragment',
  })
  expect(await client.whoami()).toMatchObject({ user_id: `@alice:${SERVER_NAME}`, device_id: deviceId })
  const { room_id } = await client.createRoom({ name: 'Side door' })
  const { event_id } = await client.sendTextMessage(room_id, 'knock knock')
  expect(event_id).toMatch(/^\$/)
  expect(await sync(accessToken)).toContain(event_id)

  const second = await oauth.performRefreshTokenGrant(refreshToken)
  expect(second.access_token).not.toBe(accessToken)
  expect((await whoami(second.access_token)).status).toBe(200)
  // The app never saw this answer: it asks again with the token that it has, and gets the same pair.
  const lost = await oauth.performRefreshTokenGrant(second.refresh_token ?? '')
  const again = await oauth.performRefreshTokenGrant(second.refresh_token ?? '')
  expect(again.access_token).toBe(lost.access_token)
  expect((await whoami(again.access_token)).body).toMatchObject({ device_id: deviceId })
  const later = await oauth.performRefreshTokenGrant(again.refresh_token ?? '')
  expect((await whoami(later.access_token)).status).toBe(200)
})

test('a revocation holds at the homeserver within the same second, cached token or not', async () => {
  const { oauth, accessToken, deviceId } = await signIn('bob')
  expect((await whoami(accessToken)).body).toMatchObject({ device_id: deviceId })
  await oauth.revokeToken(accessToken, 'access_token')
  await expect.poll(async () => (await whoami(accessToken)).status, { timeout: 1000, interval: 50 }).toBe(401)
})

test('a device is let in by the code that it shows', async () => {
  const oauth = await prepareOAuth(synapse.url, app)
  const started = await oauth.startDeviceAuthorizationGrant()
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 390, height: 800 } })
  const page = await context.newPage()
  await page.goto(started.verification_uri_complete ?? '')
  await page.getByRole('button', { name: 'Continue' }).click()
  await fillSignIn(page, 'carol')
  await page.getByRole('button', { name: 'Yes, sign it in' }).click()
  await page.waitForURL('**/link/done/approved')
  const tokens = await oauth.waitForDeviceAuthorizationGrant(started)
  if (!('access_token' in tokens)) throw new Error(JSON.stringify(tokens))
  const { client, deviceId } = clientOf(oauth, tokens, { homeserver: synapse.url, context })
  expect(await client.whoami()).toMatchObject({ user_id: `@carol:${SERVER_NAME}`, device_id: deviceId })
})

test('a locked user is held: the homeserver fails with a 5xx, and the same session works after the unlock', async () => {
  const { oauth, accessToken, refreshToken } = await signIn('dave')
  await postern.app.accounts.lock(users.get('dave') ?? '', { actor: 'operator' })
  const held = await whoami(accessToken)
  expect(held.status).toBeGreaterThanOrEqual(500)
  expect(held.body.errcode).not.toBe('M_UNKNOWN_TOKEN')
  const refused = await refresh(postern, oauth.context.clientId, refreshToken)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBeTruthy()
  await postern.app.accounts.unlock(users.get('dave') ?? '', { actor: 'operator' })
  expect((await whoami(accessToken)).status).toBe(200)
  expect((await oauth.performRefreshTokenGrant(refreshToken)).access_token).toBeTruthy()
})

test('a deactivation reaches the homeserver, and no token works after it', async () => {
  const { accessToken } = await signIn('erin')
  expect((await whoami(accessToken)).status).toBe(200)
  await postern.app.accounts.deactivate(users.get('erin') ?? '', { erase: false }, { actor: 'operator' })
  await expect
    .poll(async () => (await whoami(accessToken)).status, { timeout: 2000, interval: 100 })
    .toBe(401)
  const state = async () => {
    const response = await fetch(`${synapse.url}/_synapse/mas/query_user?localpart=erin`, {
      headers: { authorization: `Bearer ${SECRET}` },
    })
    return ((await response.json()) as { is_deactivated: boolean }).is_deactivated
  }
  await expect.poll(state, { timeout: 20_000, interval: 250 }).toBe(true)
})

test('new cross-signing keys are let through after the account page allowed it', async () => {
  const signedIn = await signIn('frank')
  const { user_id: userId } = await signedIn.client.whoami()
  const client = createClient({
    baseUrl: synapse.url,
    accessToken: signedIn.accessToken,
    deviceId: signedIn.deviceId,
    userId,
    logger: silent,
  })
  await client.initRustCrypto({ useIndexedDB: false })
  const crypto = client.getCrypto()
  if (!crypto) throw new Error('No crypto')
  let challenge: { params?: Record<string, { url?: string }> } | undefined
  const bootstrap = (setupNewCrossSigning: boolean) =>
    crypto.bootstrapCrossSigning({
      setupNewCrossSigning,
      authUploadDeviceSigningKeys: async (makeRequest) => {
        await makeRequest(null).catch((error: { data?: typeof challenge }) => {
          challenge = error.data
          throw error
        })
      },
    })
  await bootstrap(false)
  await expect(bootstrap(true)).rejects.toThrow()
  const address = challenge?.params?.['m.oauth']?.url ?? ''
  expect(address).toBe(`${postern.url}account?action=org.matrix.cross_signing_reset`)

  const page = await signedIn.context.newPage()
  await page.goto(address)
  await page.getByRole('button', { name: 'Allow the reset' }).click()
  await page.waitForURL('**/cross-signing-reset?allowed=1')
  await bootstrap(true)
  client.stopClient()
})

test('an administrator reaches the homeserver’s admin API with the scope for it, and nobody else does', async () => {
  const scope = 'urn:matrix:client:api:* urn:matrix:client:device:ADMINTOOLS urn:synapse:admin:*'
  const { access_token } = await obtainTokens(postern, 'tools', 'admin', { params: { scope } })
  const list = (token: string) =>
    fetch(`${synapse.url}/_synapse/admin/v2/users?guests=false`, {
      headers: { authorization: `Bearer ${token}` },
    })
  expect((await list(access_token)).status).toBe(200)
  const { accessToken } = await signIn('alice')
  expect((await list(accessToken)).status).toBe(403)
})
