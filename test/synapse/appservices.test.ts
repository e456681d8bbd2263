import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RegistrationFiles, writeRegistrations } from '../support/appservices.ts'
import { type BridgeRegistration, registration, startBridge } from '../support/bridge.ts'
import { nextText, startEncryptedClient } from '../support/encrypted-client.ts'
import { ask, whoami } from '../support/homeserver-api.ts'
import { addUser } from '../support/oauth.ts'
import type { PythonDriver } from '../support/python.ts'
import { SERVER_NAME, type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let files: RegistrationFiles
let older: BridgeRegistration
let newer: BridgeRegistration

beforeAll(async () => {
  older = await registration('older')
  newer = await registration('newer', { msc4190: true })
  files = await writeRegistrations({ older, newer })
  stack = await startStack({
    config: { appservices: files.config },
    synapse: { appservices: [older, newer] },
  })
  await addUser(stack.postern, 'alice')
})
afterAll(async () => {
  await stack?.stop()
  await files?.remove()
})

const mxid = (localpart: string) => `@${localpart}:${SERVER_NAME}`
const asked = (method: string, path: string, request: Parameters<typeof ask>[3]) =>
  ask(stack.homeserver, method, path, request)

/** Starts a bridge, does something with it, and stops it. */
async function withBridge(
  registered: BridgeRegistration,
  act: (bridge: PythonDriver, bot: Record<string, unknown>) => Promise<void>,
): Promise<void> {
  const bridge = await startBridge(stack.homeserver, registered)
  try {
    await act(bridge, await bridge.ask('start'))
  } finally {
    await bridge.close()
  }
}

/** A conversation with a person, both ways and encrypted. */
async function talk(bridge: PythonDriver): Promise<void> {
  const client = await startEncryptedClient(stack.homeserver, 'alice')
  try {
    const roomId = String((await bridge.ask('room', { invite: mxid('alice') })).room_id)
    await client.joinRoom(roomId)
    const text = nextText(client, roomId)
    await bridge.ask('say', { room_id: roomId, body: 'from the other side' })
    expect(await text).toBe('from the other side')
    await client.sendTextMessage(roomId, 'from this side')
    expect(await bridge.ask('listen')).toEqual({ sender: mxid('alice'), body: 'from this side' })
  } finally {
    client.stopClient()
  }
}

test('a bridge that signs its bot in talks with a person, encrypted, until it signs out', async () => {
  await withBridge(older, async (bridge, bot) => {
    expect(bot).toMatchObject({ user_id: mxid('older_bot'), own_token: true })
    const token = String(bot.access_token)
    expect((await whoami(stack.homeserver, token)).body).toMatchObject({ device_id: bot.device_id })
    await talk(bridge)
    // A year later it is still signed in: it asked for no refresh token.
    stack.postern.clock.advance(365 * 24 * 3600)
    expect((await whoami(stack.homeserver, token)).status).toBe(200)
    await bridge.ask('logout')
    await expect
      .poll(() => whoami(stack.homeserver, token), { timeout: 5000, interval: 50 })
      .toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
  })
})

test('a bridge registers a ghost at the homeserver and signs it in, and nobody who is not its own', async () => {
  await withBridge(older, async (bridge) => {
    const ghost = mxid('older_casper')
    const unregistered = await bridge.ask('login', { user_id: mxid('older_nobody') })
    expect(unregistered).toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
    const login = await bridge.ask('ghost', { user_id: ghost, device_id: 'CASPERSDEVICE' })
    expect(login).toMatchObject({ user_id: ghost, device_id: 'CASPERSDEVICE' })
    expect((await whoami(stack.homeserver, String(login.access_token))).body).toMatchObject({
      user_id: ghost,
      device_id: 'CASPERSDEVICE',
    })
    for (const stranger of ['alice', 'newer_bot'])
      expect(await bridge.ask('login', { user_id: mxid(stranger) })).toMatchObject({
        status: 403,
        errcode: 'M_EXCLUSIVE',
      })
  })
})

test('a bridge that makes its device at the homeserver (MSC4190) talks with a person, encrypted', async () => {
  await withBridge(newer, async (bridge, bot) => {
    expect(bot).toMatchObject({ user_id: mxid('newer_bot'), own_token: false })
    await talk(bridge)
    expect(await bridge.ask('login', { user_id: mxid('newer_bot') })).toMatchObject({ status: 400 })

    // Its requests go on to Synapse, which knows its token; Postern has no session of it.
    const device = `v3/devices/${bot.device_id}?user_id=${mxid('newer_bot')}`
    const asBridge = { token: newer.as_token }
    expect((await asked('GET', device, asBridge)).status).toBe(200)
    expect(await asked('DELETE', device, asBridge)).toMatchObject({ status: 200, body: {} })
    expect((await asked('GET', device, asBridge)).status).toBe(404)
    // Under delegation Synapse has this for nobody, as the document says.
    const all = { ...asBridge, body: { devices: [bot.device_id] } }
    expect(await asked('POST', 'v3/delete_devices', all)).toMatchObject({
      status: 404,
      body: { errcode: 'M_UNRECOGNIZED' },
    })
  })
})
