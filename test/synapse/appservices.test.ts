import { afterAll, beforeAll, expect, test } from 'vitest'
import { AS_TOKEN, registration, startBridge } from '../support/bridge.ts'
import { nextText, startEncryptedClient } from '../support/encrypted-client.ts'
import { freePort } from '../support/free-port.ts'
import { ask } from '../support/homeserver-api.ts'
import { addUser } from '../support/oauth.ts'
import type { PythonDriver } from '../support/python.ts'
import { SERVER_NAME, type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let port: number

beforeAll(async () => {
  port = await freePort()
  stack = await startStack({ synapse: { appservices: [registration(port)] } })
  await addUser(stack.postern, 'alice')
})
afterAll(() => stack?.stop())

/** A conversation with a person, both ways and encrypted. */
async function talk(bridge: PythonDriver): Promise<void> {
  const client = await startEncryptedClient(stack.homeserver, 'alice')
  try {
    const { room_id: roomId } = await bridge.ask('room', { invite: `@alice:${SERVER_NAME}` })
    await client.joinRoom(String(roomId))
    const text = nextText(client, String(roomId))
    await bridge.ask('say', { room_id: roomId, body: 'from the other side' })
    expect(await text).toBe('from the other side')
    await client.sendTextMessage(String(roomId), 'from this side')
    expect(await bridge.ask('listen')).toEqual({ sender: `@alice:${SERVER_NAME}`, body: 'from this side' })
  } finally {
    client.stopClient()
  }
}

test('a bridge that makes its device at the homeserver (MSC4190) talks with a person, encrypted', async () => {
  const bridge = await startBridge(stack.homeserver, { port, msc4190: true })
  try {
    const started = await bridge.ask('start')
    expect(started).toMatchObject({ user_id: `@bridgebot:${SERVER_NAME}`, own_token: false })
    await talk(bridge)
    // Its requests go on to Synapse, which knows its token; Postern has no session of it.
    const device = `v3/devices/${started.device_id}?user_id=${started.user_id}`
    const asBridge = { token: AS_TOKEN }
    expect((await ask(stack.homeserver, 'GET', device, asBridge)).status).toBe(200)
    expect(await ask(stack.homeserver, 'DELETE', device, asBridge)).toMatchObject({ status: 200, body: {} })
    expect((await ask(stack.homeserver, 'GET', device, asBridge)).status).toBe(404)
    // As the document says: nobody's, under delegation.
    const all = { ...asBridge, body: { devices: [started.device_id] } }
    expect(await ask(stack.homeserver, 'POST', 'v3/delete_devices', all)).toMatchObject({
      status: 404,
      body: { errcode: 'M_UNRECOGNIZED' },
    })
  } finally {
    await bridge.close()
  }
})
