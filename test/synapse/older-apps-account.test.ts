import { createClient, type LoginResponse, MatrixError } from 'matrix-js-sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, whoami } from '../support/homeserver-api.ts'
// Keeps js-sdk from telling everything that it does.
import '../support/matrix-client.ts'
import { addUser, PASSWORD } from '../support/oauth.ts'
import { startPython } from '../support/python.ts'
import { SERVER_NAME, type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack()
  for (const name of ['alice', 'bob', 'carol', 'dave']) await addUser(stack.postern, name)
})
afterAll(() => stack?.stop())

const NEW_PASSWORD = 'a new and quite different phrase'
const ENDED = { status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } }

function logIn(user: string, deviceId: string, password = PASSWORD): Promise<LoginResponse> {
  return createClient({ baseUrl: stack.homeserver }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    device_id: deviceId,
  })
}

function clientOf({ access_token, user_id, device_id }: LoginResponse) {
  return createClient({
    baseUrl: stack.homeserver,
    accessToken: access_token,
    userId: user_id,
    deviceId: device_id,
  })
}

/** Does what apps do: asks without a password, then shows it for the session that the answer names. */
async function withPassword<T>(
  user: string,
  request: (auth: Parameters<ReturnType<typeof clientOf>['deleteDevice']>[1]) => Promise<T>,
  password = PASSWORD,
): Promise<T> {
  const challenge = await request(undefined).then(
    () => undefined,
    (error) => error,
  )
  if (!(challenge instanceof MatrixError)) throw new Error('No password was asked for')
  expect(challenge.httpStatus).toBe(401)
  expect(challenge.data.flows).toEqual([{ stages: ['m.login.password'] }])
  const { session } = challenge.data
  return request({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    ...(typeof session === 'string' ? { session } : {}),
  })
}

const ends = (token: string) =>
  expect.poll(() => whoami(stack.homeserver, token), { timeout: 5000, interval: 50 }).toMatchObject(ENDED)

test('matrix-js-sdk deletes other devices of its user, one and several, and they are signed out at once', async () => {
  const here = clientOf(await logIn('alice', 'ALICEHERE1'))
  const others = []
  for (const id of ['ALICEPHONE', 'odd/name', 'ALICETABLET']) others.push(await logIn('alice', id))
  for (const { access_token } of others)
    expect((await whoami(stack.homeserver, access_token)).status).toBe(200)

  await expect(
    withPassword('alice', (auth) => here.deleteDevice('ALICEPHONE', auth), 'wrong'),
  ).rejects.toMatchObject({ httpStatus: 401 })
  expect((await here.getDevices()).devices).toHaveLength(4)
  await withPassword('alice', (auth) => here.deleteDevice('ALICEPHONE', auth))
  await withPassword('alice', (auth) => here.deleteMultipleDevices(['odd/name', 'ALICETABLET'], auth))
  for (const { access_token } of others) await ends(access_token)
  expect((await here.getDevices()).devices.map((device) => device.device_id)).toEqual(['ALICEHERE1'])

  // Reading and naming devices is Synapse's still.
  await here.setDeviceDetails('ALICEHERE1', { display_name: 'The one that is left' })
  expect(await here.getDevice('ALICEHERE1')).toMatchObject({ display_name: 'The one that is left' })
})

test('matrix-js-sdk changes the password, and other devices are signed out with the old one', async () => {
  const login = await logIn('bob', 'BOBSDEVICE')
  const other = await logIn('bob', 'BOBSPHONE1')
  await withPassword('bob', (auth) => clientOf(login).setPassword(auth ?? ({} as never), NEW_PASSWORD, true))
  await ends(other.access_token)
  expect((await whoami(stack.homeserver, login.access_token)).status).toBe(200)
  await expect(logIn('bob', 'BOBSPHONE1')).rejects.toMatchObject({ httpStatus: 403, errcode: 'M_FORBIDDEN' })
  expect(await logIn('bob', 'BOBSPHONE1', NEW_PASSWORD)).toMatchObject({ user_id: `@bob:${SERVER_NAME}` })
})

test('matrix-js-sdk deactivates the account, here and at the homeserver', async () => {
  const login = await logIn('carol', 'CAROLSDEVICE')
  const profile = () => ask(stack.homeserver, 'GET', `v3/profile/@carol:${SERVER_NAME}`)
  expect((await profile()).status).toBe(200)
  const result = await withPassword('carol', (auth) => clientOf(login).deactivateAccount(auth, true))
  expect(result).toHaveProperty('id_server_unbind_result')
  await ends(login.access_token)
  await expect(logIn('carol', 'CAROLSDEVICE')).rejects.toMatchObject({ httpStatus: 403 })
  // Erased, which only the homeserver can do.
  await expect.poll(profile, { timeout: 20_000, interval: 250 }).toMatchObject({ status: 404 })
})

test('matrix-nio deletes devices with the user’s password', async () => {
  const nio = await startPython('nio_session.py', [stack.homeserver, 'dave'])
  try {
    await nio.ask('login', { password: PASSWORD })
    const other = await logIn('dave', 'DAVESPHONE')
    const asked = await nio.ask('delete_devices', { devices: ['DAVESPHONE'] })
    expect(asked).toMatchObject({ type: 'DeleteDevicesAuthResponse', status: 401 })
    const auth = {
      type: 'm.login.password',
      user: `@dave:${SERVER_NAME}`,
      password: PASSWORD,
      session: asked.session,
    }
    expect(await nio.ask('delete_devices', { devices: ['DAVESPHONE'], auth })).toMatchObject({
      type: 'DeleteDevicesResponse',
    })
    await ends(other.access_token)
  } finally {
    await nio.close()
  }
})
