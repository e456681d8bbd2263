import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type EncryptedApp,
  makeEncryptedRoom,
  readAgain,
  readBySync,
  startEncryptedApp,
} from '../support/migrate/encrypted.ts'
import { documentedKinds, observedKinds } from '../support/migrate/kinds.ts'
import { callApi, legacyRefresh, passwordLogin, sync, whoami } from '../support/migrate/matrix-api.ts'
import { AS_TOKEN, SERVER_NAME } from '../support/migrate/old-synapse.ts'
import { type OldWorld, startOldWorld } from '../support/migrate/old-world.ts'
import { changeEndpoint, follow, readBySynapse } from '../support/migrate/operator.ts'
import { OLD_PASSWORD, type OldSession, userIdOf } from '../support/migrate/people.ts'

const NEW_PASSWORD = 'nell has one at last'

// Each of these goes on where the one before it stopped: an operator follows the guide, and apps watch.
describe.each(['PostgreSQL', 'SQLite'] as const)('a Synapse on %s', (engine) => {
  let world: OldWorld
  let reader: EncryptedApp
  let writer: EncryptedApp
  let room: string
  let oldMessage: string
  let newMessage: string
  /** What the apps hold after the switch, of those who got something new. */
  const renewed: Record<string, OldSession> = {}

  beforeAll(async () => {
    world = await startOldWorld(engine)
  })
  afterAll(async () => {
    reader?.client.stopClient()
    writer?.client.stopClient()
    await world?.close()
  })

  const person = (name: string): OldSession => {
    const found = world.people[name]
    if (!found) throw new Error(`There is no ${name}`)
    return found
  }
  const blocks = (heading: string) => world.guide.blocks(heading)
  const statusOf = async (name: string) =>
    (await whoami(world.homeserver.url, person(name).accessToken)).status

  test('before the switch, its own login knows everyone, and tokens work as they should', async () => {
    const { people, homeserver } = world
    expect((await passwordLogin(homeserver.url, 'alice@mail.example.test', OLD_PASSWORD)).status).toBe(200)
    const statuses = await Promise.all(
      Object.keys(people).map(async (name) => [name, await statusOf(name)] as const),
    )
    const refused = { dora: 401, lotte: 401, lotteTablet: 401, erikTablet: 401, keeper: 401 }
    const all = Object.fromEntries(Object.keys(people).map((name) => [name, 200]))
    expect(Object.fromEntries(statuses)).toEqual({ ...all, ...refused })
  })

  test('an app with encryption reads its messages before the switch', async () => {
    const { url } = world.homeserver
    const login = { password: OLD_PASSWORD }
    reader = await startEncryptedApp(url, { ...login, user: 'alice', deviceId: 'ALICECRYPTO' })
    writer = await startEncryptedApp(url, {
      ...login,
      user: 'erik',
      deviceId: 'ERIKCRYPTO',
      refreshable: true,
    })
    room = await makeEncryptedRoom(writer, reader)
    oldMessage = (await writer.client.sendTextMessage(room, 'before the switch')).event_id
    expect(await readBySync(reader, room, oldMessage)).toBe('before the switch')
    expect(await readAgain(reader, room, oldMessage)).toBe('before the switch')
  })

  test('the guide writes both configurations, and those who will read them take them', async () => {
    // The clone is there; what is left of that step is its command.
    await follow(world, world.installGuide.blocks('1. Get Postern').slice(-1))
    const [configure = '', diff = '', makeDatabase = '', start = ''] = blocks('2. Write both configurations')
    expect(await follow(world, [configure])).toContain('Synapse accepts the edited configuration.')
    expect(await follow(world, [diff])).toContain('matrix_authentication_service')
    await changeEndpoint(world)
    if (engine === 'PostgreSQL') await follow(world, [makeDatabase])
    await follow(world, [start])
    expect(await readBySynapse(world)).toBe(`${SERVER_NAME} True http://127.0.0.1:${world.posternPort}/`)
    const edited = await readFile(join(world.opt, 'switch/homeserver.yaml'), 'utf8')
    expect(edited).toContain('# no federation here')
  })

  test('the check beside the running Synapse says what will be moved, and what will not and why', async () => {
    const printed = await follow(world, blocks('3. Check'))
    expect(printed).toMatch(/^users +15 +13 +0 +2$/m)
    expect(printed).toContain('belongs to another server (@stray:elsewhere.test)')
    expect(printed).toContain('warning: 1 users are shadow-banned')
    expect(printed).not.toMatch(/syt_|syr_|MDAx|\$2[aby]\$/)
  })

  test('the rehearsal beside the running Synapse leaves nothing behind', async () => {
    expect(await follow(world, blocks('4. Rehearse'))).toContain('Nothing was changed.')
    expect(await follow(world, ['postern user list'])).toBe('')
  })

  test('the import refuses to run while Synapse is up, and says how it knows', async () => {
    const [stopAndRun = ''] = blocks('5. Switch')
    const runOnly = stopAndRun.slice(stopAndRun.indexOf('sudo postern'))
    const { code, err } = await world.machine.run(runOnly)
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('/health answers') })
    expect(await follow(world, ['postern user list'])).toBe('')
  })

  test('the switch takes the guide’s commands', async () => {
    const [stopAndRun = '', verify = '', start = ''] = blocks('5. Switch')
    expect(await follow(world, [stopAndRun])).toContain('Moved in')
    const verified = await follow(world, [verify])
    expect(verified).toContain('It is safe to switch')
    expect(verified).toMatch(/^user_external_ids +1 +1 +0 +0$/m)
    world.homeserver.configured.target = world.newProxy
    await follow(world, [start])
    await follow(world, blocks('6. See that it works'))
  })

  test('the table in the guide says what is seen of every kind of user', async () => {
    expect(await observedKinds(world)).toEqual(await documentedKinds())
  })

  test('every access token goes on, in whatever form, on the device that it was for', async () => {
    for (const name of [
      'alice',
      'aliceLaptop',
      'aliceOld',
      'aliceDeviceless',
      'root',
      'nell',
      'erik',
      'shade',
    ]) {
      const { accessToken, userId, deviceId } = person(name)
      const answer = await whoami(world.synapse.url, accessToken)
      expect({ name, ...answer }).toMatchObject({ name, status: 200, body: { user_id: userId } })
      expect(answer.body.device_id).toBe(deviceId)
      expect((await sync(world.synapse.url, accessToken)).status).toBe(200)
    }
  })

  test('a token by which an administrator acted as another user does not go on', async () => {
    expect(await statusOf('puppet')).toBe(401)
  })

  test('an administrator’s old token still opens the homeserver’s admin API, and nobody else’s does', async () => {
    const list = (name: string) =>
      callApi(world.synapse.url, 'GET', '/_synapse/admin/v2/users?guests=false', {
        token: person(name).accessToken,
      })
    expect((await list('root')).status).toBe(200)
    expect((await list('alice')).status).toBe(403)
  })

  test('refresh tokens go on, also where the access token ran out', async () => {
    for (const name of ['aliceLaptop', 'erikTablet']) {
      const { refreshToken = '', deviceId, userId } = person(name)
      const { status, body } = await legacyRefresh(world.homeserver.url, refreshToken)
      expect({ name, status }).toEqual({ name, status: 200 })
      const accessToken = String(body.access_token)
      const answer = await whoami(world.homeserver.url, accessToken)
      expect(answer.body).toMatchObject({ user_id: userId, device_id: deviceId })
      renewed[name] = { userId, accessToken, refreshToken: String(body.refresh_token) }
    }
  })

  test('everyone signs in as before: by name, user ID and e-mail address', async () => {
    const { url } = world.homeserver
    for (const name of ['alice', userIdOf('alice'), 'alice@mail.example.test']) {
      const { status, body } = await passwordLogin(url, name, OLD_PASSWORD)
      expect({ name, status, user: body.user_id }).toEqual({ name, status: 200, user: userIdOf('alice') })
      expect((await whoami(url, String(body.access_token))).status).toBe(200)
      renewed.aliceNew = { userId: userIdOf('alice'), accessToken: String(body.access_token) }
    }
    for (const name of ['ute', 'Ute', userIdOf('Ute')])
      expect((await passwordLogin(url, name, OLD_PASSWORD)).body).toMatchObject({ user_id: userIdOf('Ute') })
    expect((await passwordLogin(url, 'alice', 'wrong')).status).toBe(403)
  })

  test('an app with encryption goes on: it reads what was sent before and what is sent now', async () => {
    expect(await readAgain(reader, room, oldMessage)).toBe('before the switch')
    await writer.refresh()
    newMessage = (await writer.client.sendTextMessage(room, 'after the switch')).event_id
    expect(await readBySync(reader, room, newMessage)).toBe('after the switch')
    expect(reader.signedOut()).toBe(false)
    expect(writer.signedOut()).toBe(false)
  })

  test('a device without a token stays with its keys, also when somebody signs in or out', async () => {
    const { body } = await passwordLogin(world.homeserver.url, 'keeper', OLD_PASSWORD)
    const token = String(body.access_token)
    const devices = await callApi(world.homeserver.url, 'GET', '/_matrix/client/v3/devices', { token })
    expect(JSON.stringify(devices.body)).toContain('KEEPERPHONE')
    expect((await callApi(world.homeserver.url, 'POST', '/_matrix/client/v3/logout', { token })).status).toBe(
      200,
    )
  })

  test('an old token signs out, and is dead at the homeserver at once', async () => {
    const { accessToken: token } = person('aliceOld')
    const out = await callApi(world.homeserver.url, 'POST', '/_matrix/client/v3/logout', { token })
    expect(out.status).toBe(200)
    expect(await statusOf('aliceOld')).toBe(401)
    expect(await statusOf('alice')).toBe(200)
  })

  test('a locked person’s tokens are held, and work again after the unlock', async () => {
    const { refreshToken = '' } = person('lotteTablet')
    const held = await legacyRefresh(world.homeserver.url, refreshToken)
    expect(held.body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
    await follow(world, ['postern user unlock lotte'])
    expect(await statusOf('lotte')).toBe(200)
    expect((await legacyRefresh(world.homeserver.url, refreshToken)).status).toBe(200)
    // Synapse itself is told by a job; it looks at its own note again only after going back.
    const path = `/_synapse/admin/v2/users/${encodeURIComponent(userIdOf('lotte'))}`
    const token = person('root').accessToken
    const locked = async () => (await callApi(world.synapse.url, 'GET', path, { token })).body.locked
    await expect.poll(locked, { timeout: 20_000 }).toBe(false)
  })

  test('a suspended person stays suspended at the homeserver', async () => {
    const { accessToken: token } = person('susi')
    const path = '/_matrix/client/v3/createRoom'
    const { status, body } = await callApi(world.homeserver.url, 'POST', path, { token, body: {} })
    expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_USER_SUSPENDED' } })
  })

  test('a person without a password gets one from the operator', async () => {
    await follow(world, [`echo '${NEW_PASSWORD}' | postern user set-password nell --password-stdin`])
    expect((await passwordLogin(world.homeserver.url, 'nell', NEW_PASSWORD)).status).toBe(200)
  })

  test('a bridge goes on with its own token, for its old users and for new ones', async () => {
    const { url } = world.homeserver
    const as = (user: string) =>
      callApi(url, 'GET', `/_matrix/client/v3/account/whoami?user_id=${encodeURIComponent(userIdOf(user))}`, {
        token: AS_TOKEN,
      })
    expect((await as('bridge-anna')).body).toMatchObject({ user_id: userIdOf('bridge-anna') })
    const body = { type: 'm.login.application_service', username: 'bridge-bert', inhibit_login: true }
    const made = await callApi(url, 'POST', '/_matrix/client/v3/register', { token: AS_TOKEN, body })
    expect(made.status).toBe(200)
    expect((await as('bridge-bert')).status).toBe(200)
  })

  test('going back: old tokens and passwords work at Synapse, and what was made since does not', async () => {
    world.homeserver.configured.target = world.synapse.url
    const [goBack = ''] = blocks('7. Going back')
    await follow(world, [goBack])
    const { url } = world.homeserver
    for (const name of ['alice', 'aliceDeviceless', 'aliceTablet', 'root', 'guest', 'nell', 'susi', 'puppet'])
      expect({ name, status: await statusOf(name) }).toEqual({ name, status: 200 })
    expect((await passwordLogin(url, 'alice@mail.example.test', OLD_PASSWORD)).status).toBe(200)
    expect((await passwordLogin(url, 'nell', NEW_PASSWORD)).status).toBe(403)
    expect((await legacyRefresh(url, person('aliceTablet').refreshToken ?? '')).status).toBe(200)
    for (const name of ['aliceLaptop', 'erikTablet', 'aliceNew'])
      expect((await whoami(url, renewed[name]?.accessToken ?? '')).status).toBe(401)
    // Signed out since the switch, and still so: Synapse deleted the device then. Unlocked, and still so.
    expect(await statusOf('aliceOld')).toBe(401)
    expect(await statusOf('lotte')).toBe(200)
  })

  test('after going back, an app that kept its token reads everything, also what came in between', async () => {
    expect(await readAgain(reader, room, oldMessage)).toBe('before the switch')
    expect(await readAgain(reader, room, newMessage)).toBe('after the switch')
    expect(reader.signedOut()).toBe(false)
    expect((await whoami(world.homeserver.url, writer.client.getAccessToken() ?? '')).status).toBe(401)
  })

  test('another day the move succeeds from an empty database', async () => {
    const [, ownServer = '', embedded = ''] = blocks('7. Going back')
    await follow(world, [engine === 'PostgreSQL' ? ownServer : embedded])
    expect(await follow(world, ['postern user list'])).toBe('')
    const [stopAndRun = '', verify = ''] = blocks('5. Switch')
    await follow(world, [stopAndRun])
    expect(await follow(world, [verify])).toContain('It is safe to switch')
  })
})
