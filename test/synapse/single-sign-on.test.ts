import { createClient } from 'matrix-js-sdk'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser, newContext } from '../support/browser.ts'
import { ask, whoami } from '../support/homeserver-api.ts'
import { type App, fillSignIn, startApp } from '../support/matrix-client.ts'
import { addUser } from '../support/oauth.ts'
import { SERVER_NAME, type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let browser: Browser
let app: App

beforeAll(async () => {
  stack = await startStack()
  await addUser(stack.postern, 'erin')
  browser = await launchBrowser()
  app = await startApp()
})
afterAll(async () => {
  await browser?.close()
  await app?.close()
  await stack?.stop()
})

test('single sign-on in a browser ends in a login token, and that in a session at the homeserver', async () => {
  const signedOut = createClient({ baseUrl: stack.homeserver })
  const { flows } = await signedOut.loginFlows()
  expect(flows.map(({ type }) => type)).toContain('m.login.sso')
  const context = await newContext(browser)
  const page = await context.newPage()
  await page.goto(signedOut.getSsoLoginUrl(`${app.redirectUri}?server=here`, 'sso'))
  await fillSignIn(page, 'erin')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.waitForURL(`${app.redirectUri}**`)
  const back = new URL(page.url()).searchParams
  expect(back.get('server')).toBe('here')
  const token = back.get('loginToken') ?? ''

  const login = await signedOut.loginRequest({ type: 'm.login.token', token, refresh_token: true })
  const client = createClient({
    baseUrl: stack.homeserver,
    accessToken: login.access_token,
    userId: login.user_id,
    deviceId: login.device_id,
  })
  expect(await client.whoami()).toMatchObject({ user_id: `@erin:${SERVER_NAME}`, device_id: login.device_id })
  expect((await client.createRoom({})).room_id).toMatch(/^!/)
  expect(await client.getDevices()).toMatchObject({ devices: [{ device_id: login.device_id }] })

  // Presented again it was stolen: the session that it made ends.
  await expect(signedOut.loginRequest({ type: 'm.login.token', token })).rejects.toMatchObject({
    httpStatus: 403,
  })
  await expect
    .poll(() => whoami(stack.homeserver, login.access_token), { timeout: 5000, interval: 50 })
    .toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false } })
  await context.close()
})

test('a browser app on another origin may call all of it', async () => {
  for (const path of [
    'login',
    'logout',
    'logout/all',
    'refresh',
    'delete_devices',
    'account/password',
    'devices/X',
  ]) {
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    const preflight = await ask(stack.homeserver, 'OPTIONS', `v3/${path}`, { headers })
    expect(preflight.status, path).toBeLessThan(300)
    expect(preflight.headers.get('access-control-allow-origin'), path).toBe('*')
    expect(preflight.headers.get('access-control-allow-methods'), path).toMatch(/POST/)
    expect(preflight.headers.get('access-control-allow-headers'), path).toMatch(/Authorization/i)
  }
  const flows = await ask(stack.homeserver, 'GET', 'v3/login', { headers: { origin: 'https://app.example' } })
  expect(flows.headers.get('access-control-allow-origin')).toBe('*')
})

test('the homeserver names both addresses in its well-known document', async () => {
  const response = await fetch(`${stack.homeserver}/.well-known/matrix/client`)
  expect(await response.json()).toMatchObject({
    'm.homeserver': { base_url: `${stack.homeserver}/` },
    'org.matrix.msc2965.authentication': { issuer: stack.auth, account: `${stack.auth}account` },
  })
})
