import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHomeserver, type Homeserver } from '../../src/homeserver/client.ts'
import { HomeserverError } from '../../src/homeserver/errors.ts'
import { type RunningSynapse, startSynapse } from '../support/synapse.ts'

const secret = 'the-shared-secret-of-the-tests'

let synapse: RunningSynapse
let homeserver: Homeserver

function connect(endpoint: string, withSecret = secret): Homeserver {
  return createHomeserver({ endpoint, secret: withSecret, timeoutSeconds: 20 })
}

async function failureOf(call: Promise<unknown>): Promise<HomeserverError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof HomeserverError)) throw new Error(`Expected a HomeserverError, got ${String(error)}`)
  return error
}

beforeAll(async () => {
  synapse = await startSynapse({
    delegated: { endpoint: 'http://127.0.0.1:1/', secret },
    appservices: [
      {
        id: 'bridge',
        url: null,
        as_token: 'as-token',
        hs_token: 'hs-token',
        sender_localpart: 'bridgebot',
        rate_limited: false,
        namespaces: { users: [{ regex: '@bridge-.*:localhost', exclusive: true }] },
      },
    ],
  })
  homeserver = connect(synapse.url)
}, 90_000)

afterAll(() => synapse?.stop())

describe('users on a real Synapse', () => {
  test('a user is made once and updated after that', async () => {
    expect(await homeserver.queryUser('alice')).toBeUndefined()
    expect(await homeserver.provisionUser({ localpart: 'alice', displayName: 'Alice' })).toBe('created')
    expect(await homeserver.provisionUser({ localpart: 'alice', locked: false })).toBe('updated')
    expect(await homeserver.queryUser('alice')).toEqual({
      userId: '@alice:localhost',
      displayName: 'Alice',
      avatarUrl: null,
      isSuspended: false,
      isDeactivated: false,
    })
  })

  test('a user without a display name gets the localpart as one', async () => {
    await homeserver.provisionUser({ localpart: 'plain' })
    expect((await homeserver.queryUser('plain'))?.displayName).toBe('plain')
  })

  test('a user can be locked and unlocked', async () => {
    await homeserver.provisionUser({ localpart: 'locked', locked: true })
    expect(await homeserver.provisionUser({ localpart: 'locked', locked: false })).toBe('updated')
  })

  test('the display name is set and unset', async () => {
    await homeserver.provisionUser({ localpart: 'named' })
    await homeserver.setDisplayName('named', 'Näme 🎉')
    expect((await homeserver.queryUser('named'))?.displayName).toBe('Näme 🎉')
    await homeserver.unsetDisplayName('named')
    expect((await homeserver.queryUser('named'))?.displayName).toBeNull()
    expect(await failureOf(homeserver.setDisplayName('named', 'x'.repeat(257)))).toMatchObject({
      code: 'homeserver_refused',
    })
  })

  test('which localparts are available follows the rules of the homeserver', async () => {
    await homeserver.provisionUser({ localpart: 'taken' })
    expect(await homeserver.isLocalpartAvailable('free.name')).toEqual({ available: true })
    expect(await homeserver.isLocalpartAvailable('taken')).toEqual({ available: false, reason: 'in_use' })
    for (const localpart of ['Upper', '_hidden', '12345', '', 'späce', 'a b', 'x'.repeat(256)]) {
      expect(await homeserver.isLocalpartAvailable(localpart)).toEqual({
        available: false,
        reason: 'invalid',
      })
    }
    expect(await homeserver.isLocalpartAvailable('bridge-carol')).toEqual({
      available: false,
      reason: 'exclusive',
    })
  })

  test('a name that an appservice owns is told from one in use, also when its user exists', async () => {
    const response = await fetch(`${synapse.url}/_matrix/client/v3/register`, {
      method: 'POST',
      headers: { authorization: 'Bearer as-token' },
      body: JSON.stringify({
        type: 'm.login.application_service',
        username: 'bridge-dave',
        inhibit_login: true,
      }),
    })
    expect(response.status).toBe(200)
    expect(await homeserver.isLocalpartAvailable('bridge-dave')).toEqual({
      available: false,
      reason: 'exclusive',
    })
  })

  test('a user is deactivated and reactivated, each as often as one likes', async () => {
    await homeserver.provisionUser({ localpart: 'leaver' })
    await homeserver.deleteUser('leaver', { erase: false })
    await homeserver.deleteUser('leaver', { erase: true })
    expect((await homeserver.queryUser('leaver'))?.isDeactivated).toBe(true)
    expect(await homeserver.isLocalpartAvailable('leaver')).toEqual({ available: false, reason: 'in_use' })
    await homeserver.reactivateUser('leaver')
    await homeserver.reactivateUser('leaver')
    expect((await homeserver.queryUser('leaver'))?.isDeactivated).toBe(false)
  })

  test('a cross-signing reset is allowed', async () => {
    await homeserver.provisionUser({ localpart: 'signer' })
    await homeserver.allowCrossSigningReset('signer')
  })

  test('what is asked for an unknown user is refused by name', async () => {
    for (const call of [
      () => homeserver.setDisplayName('nobody', 'Nobody'),
      () => homeserver.upsertDevice({ localpart: 'nobody', deviceId: 'DEVICE' }),
      () => homeserver.deleteUser('nobody', { erase: false }),
      () => homeserver.reactivateUser('nobody'),
      () => homeserver.allowCrossSigningReset('nobody'),
    ]) {
      expect(await failureOf(call())).toMatchObject({
        code: 'homeserver_refused',
        errcode: 'M_NOT_FOUND',
      })
    }
    expect(await homeserver.queryUser('niemandß')).toBeUndefined()
  })
})

describe('devices on a real Synapse', () => {
  /** Synapse's own list, asked through the appservice that masquerades as one of its users. */
  async function devicesOf(localpart: string): Promise<Map<string, string | null>> {
    const response = await fetch(
      `${synapse.url}/_matrix/client/v3/devices?user_id=@${localpart}:${synapse.serverName}`,
      { headers: { authorization: 'Bearer as-token' } },
    )
    const { devices } = (await response.json()) as {
      devices: { device_id: string; display_name?: string | null }[]
    }
    return new Map(devices.map((device) => [device.device_id, device.display_name ?? null]))
  }

  async function makeUser(localpart: string): Promise<void> {
    const response = await fetch(`${synapse.url}/_matrix/client/v3/register`, {
      method: 'POST',
      headers: { authorization: 'Bearer as-token' },
      body: JSON.stringify({
        type: 'm.login.application_service',
        username: localpart,
        inhibit_login: true,
      }),
    })
    expect(response.status).toBe(200)
  }

  test('a device is made, kept, named and deleted, each as often as one likes', async () => {
    await makeUser('bridge-d1')
    const device = { localpart: 'bridge-d1', deviceId: 'DEVICE ä' }
    await homeserver.upsertDevice({ ...device, displayName: 'A phone' })
    await homeserver.upsertDevice(device)
    expect(await devicesOf('bridge-d1')).toEqual(new Map([['DEVICE ä', 'A phone']]))
    await homeserver.updateDeviceDisplayName({ ...device, displayName: 'Another' })
    expect(await devicesOf('bridge-d1')).toEqual(new Map([['DEVICE ä', 'Another']]))
    await homeserver.deleteDevice('bridge-d1', 'DEVICE ä')
    await homeserver.deleteDevice('bridge-d1', 'DEVICE ä')
    expect(await devicesOf('bridge-d1')).toEqual(new Map())
    expect(
      await failureOf(homeserver.updateDeviceDisplayName({ ...device, displayName: 'x' })),
    ).toMatchObject({ code: 'homeserver_refused', errcode: 'M_NOT_FOUND' })
  })

  test('a name that is too long for Synapse is cut rather than refused', async () => {
    await makeUser('bridge-d2')
    await homeserver.upsertDevice({
      localpart: 'bridge-d2',
      deviceId: 'LONG',
      displayName: '📱'.repeat(150),
    })
    expect((await devicesOf('bridge-d2')).get('LONG')).toBe('📱'.repeat(100))
  })

  test('a whole list replaces the devices that are there', async () => {
    await makeUser('bridge-d3')
    for (const deviceId of ['KEPT', 'GONE']) {
      await homeserver.upsertDevice({ localpart: 'bridge-d3', deviceId, displayName: deviceId })
    }
    await homeserver.syncDevices('bridge-d3', ['KEPT', 'NEW'])
    expect(await devicesOf('bridge-d3')).toEqual(
      new Map([
        ['KEPT', 'KEPT'],
        ['NEW', null],
      ]),
    )
  })
})

describe('a Synapse that does not fit', () => {
  test('a wrong secret says what to check', async () => {
    const error = await failureOf(connect(synapse.url, 'wrong').queryUser('alice'))
    expect(error.code).toBe('homeserver_misconfigured')
    expect(error.detail).toContain('matrix.secret')
  })

  test('an address that is not the homeserver says what to check', async () => {
    const error = await failureOf(connect(`${synapse.url}/elsewhere`).provisionUser({ localpart: 'alice' }))
    expect(error.code).toBe('homeserver_misconfigured')
    expect(error.detail).toContain('matrix.endpoint')
  })

  test('a Synapse that keeps its own login says what to switch on', async () => {
    const own = await startSynapse()
    try {
      for (const call of [
        () => connect(own.url).queryUser('alice'),
        () => connect(own.url).provisionUser({ localpart: 'alice' }),
      ]) {
        const error = await failureOf(call())
        expect(error.code).toBe('homeserver_misconfigured')
        expect(error.detail).toContain('matrix_authentication_service.enabled')
      }
    } finally {
      await own.stop()
    }
  }, 90_000)
})
