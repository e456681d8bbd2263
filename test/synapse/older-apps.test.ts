import { createClient, type LoginResponse } from 'matrix-js-sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, whoami } from '../support/homeserver-api.ts'
// Keeps js-sdk from telling everything that it does.
import '../support/matrix-client.ts'
import { addUser, PASSWORD } from '../support/oauth.ts'
import { type PythonDriver, startPython } from '../support/python.ts'
import { SERVER_NAME, type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let nio: PythonDriver

beforeAll(async () => {
  stack = await startStack()
  for (const name of ['alice', 'bob', 'carol', 'dave', 'frank']) await addUser(stack.postern, name)
  nio = await startNio('alice')
})
afterAll(async () => {
  await nio?.close()
  await stack?.stop()
})

const startNio = (user: string) => startPython('nio_session.py', [stack.homeserver, user])
/** At the homeserver, through the proxy. */
const whoIs = (token: string) => whoami(stack.homeserver, token)
const ENDED = { status: 401, body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false } }

/** js-sdk with the session that a sign-in made. */
function clientOf({ access_token, user_id, device_id }: LoginResponse) {
  return createClient({
    baseUrl: stack.homeserver,
    accessToken: access_token,
    userId: user_id,
    deviceId: device_id,
  })
}

test('matrix-nio signs in with a password, talks, refreshes and signs out', async () => {
  const flows = await nio.ask('login_info')
  expect(flows.flows).toEqual(expect.arrayContaining(['m.login.password', 'm.login.sso', 'm.login.token']))

  const signedIn = await nio.ask('sign_in', { password: PASSWORD, refresh_token: true })
  expect(signedIn).toMatchObject({
    type: 'LoginResponse',
    user_id: `@alice:${SERVER_NAME}`,
    expires_in_ms: 300_000,
  })
  expect(await nio.ask('whoami')).toMatchObject({ device_id: signedIn.device_id })
  expect(await nio.ask('talk')).toMatchObject({ type: 'SyncResponse', came_back: true })

  const refreshed = await nio.ask('refresh', { token: signedIn.refresh_token })
  expect(refreshed).toMatchObject({ status: 200, expires_in_ms: 300_000 })
  expect(refreshed.access_token).not.toBe(signedIn.access_token)
  expect(await nio.ask('whoami')).toMatchObject({ type: 'WhoamiResponse', device_id: signedIn.device_id })
  expect(await nio.ask('sync', { timeout: 0 })).toMatchObject({ type: 'SyncResponse' })

  expect(await nio.ask('logout')).toMatchObject({ type: 'LogoutResponse', status: 200 })
  for (const token of [signedIn.access_token, refreshed.access_token])
    await expect.poll(() => whoIs(String(token)), { timeout: 5000, interval: 50 }).toMatchObject(ENDED)
})

test('matrix-nio hears of a wrong password, and signs in for good when it asks for no refresh token', async () => {
  const bob = await startNio(`@bob:${SERVER_NAME}`)
  try {
    expect(await bob.ask('login', { password: 'wrong' })).toMatchObject({
      type: 'LoginError',
      errcode: 'M_FORBIDDEN',
    })
    expect(await bob.ask('login', { password: PASSWORD, device_name: 'nio' })).toMatchObject({
      type: 'LoginResponse',
    })
    stack.postern.clock.advance(400 * 24 * 3600)
    expect(await bob.ask('whoami')).toMatchObject({ type: 'WhoamiResponse', user_id: `@bob:${SERVER_NAME}` })
    expect(await bob.ask('logout', { all_devices: true })).toMatchObject({ type: 'LogoutResponse' })
    expect(await bob.ask('whoami')).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: false })
  } finally {
    await bob.close()
  }
})

test('matrix-js-sdk signs in by the old API, refreshes when its token has expired, and signs out', async () => {
  const login = await createClient({ baseUrl: stack.homeserver }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'carol' },
    password: PASSWORD,
    refresh_token: true,
    initial_device_display_name: 'Element Web, an old one',
  })
  expect(login).toMatchObject({ user_id: `@carol:${SERVER_NAME}`, expires_in_ms: 300_000 })
  const client = clientOf(login)
  // Before Synapse has seen the token: it remembers the answer for two minutes of its own time.
  stack.postern.clock.advance(301)
  await expect(client.whoami()).rejects.toMatchObject({ httpStatus: 401, errcode: 'M_UNKNOWN_TOKEN' })

  const fresh = await client.refreshToken(login.refresh_token ?? '')
  client.setAccessToken(fresh.access_token)
  expect(await client.whoami()).toMatchObject({ device_id: login.device_id })
  const { devices } = await client.getDevices()
  expect(devices).toMatchObject([{ device_id: login.device_id, display_name: 'Element Web, an old one' }])
  expect((await client.createRoom({ name: 'Old friends' })).room_id).toMatch(/^!/)

  await client.logout()
  await expect.poll(() => whoIs(fresh.access_token), { timeout: 5000, interval: 50 }).toMatchObject(ENDED)
  const again = createClient({ baseUrl: stack.homeserver }).refreshToken(fresh.refresh_token)
  await expect(again).rejects.toMatchObject({ httpStatus: 401, errcode: 'M_UNKNOWN_TOKEN' })
})

test('an expired token is only a soft logout where Postern is asked, and its session goes on', async () => {
  const login = await createClient({ baseUrl: stack.homeserver }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: `@dave:${SERVER_NAME}` },
    password: PASSWORD,
    refresh_token: true,
    device_id: 'DAVESPHONE',
  })
  expect(login.device_id).toBe('DAVESPHONE')
  stack.postern.clock.advance(301)
  expect(await ask(stack.homeserver, 'POST', 'v3/logout', { token: login.access_token })).toMatchObject({
    status: 401,
    body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: true },
  })
  const fresh = await createClient({ baseUrl: stack.homeserver }).refreshToken(login.refresh_token ?? '')
  expect((await whoIs(fresh.access_token)).body).toMatchObject({ device_id: 'DAVESPHONE' })
})

test('all of it goes through Caddy as well', async () => {
  const caddy = await stack.besides('caddy')
  const frank = await startPython('nio_session.py', [caddy.homeserver, 'frank'])
  try {
    const signedIn = await frank.ask('sign_in', { password: PASSWORD, refresh_token: true })
    expect(await frank.ask('talk')).toMatchObject({ type: 'SyncResponse', came_back: true })
    const refreshed = await frank.ask('refresh', { token: signedIn.refresh_token })
    expect(await frank.ask('whoami')).toMatchObject({ device_id: signedIn.device_id })
    expect(await frank.ask('logout', { all_devices: true })).toMatchObject({ type: 'LogoutResponse' })
    const token = String(refreshed.access_token)
    await expect.poll(() => whoIs(token), { timeout: 5000, interval: 50 }).toMatchObject(ENDED)
  } finally {
    await frank.close()
    await caddy.stop()
  }
})

test('a failed sign-in is put down to the address that it came from, whatever it claims', async () => {
  const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'no' }
  const headers = { 'x-forwarded-for': '192.0.2.66', forwarded: 'for=192.0.2.66' }
  expect((await ask(stack.homeserver, 'POST', 'v3/login', { body, headers })).status).toBe(403)
  const failures = await stack.postern.db('audit_events').where({ event: 'sign_in.failed' }).select('ip')
  expect(failures.map(({ ip }) => ip)).toContain('127.0.0.1')
  expect(failures.map(({ ip }) => ip)).not.toContain('192.0.2.66')
})
