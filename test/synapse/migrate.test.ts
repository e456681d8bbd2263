import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type EncryptedApp,
  makeEncryptedRoom,
  readAgain,
  readBySync,
  startEncryptedApp,
} from '../support/migrate/encrypted.ts'
import { passwordLogin, whoami } from '../support/migrate/matrix-api.ts'
import { type OldWorld, startOldWorld } from '../support/migrate/old-world.ts'
import { OLD_PASSWORD } from '../support/migrate/people.ts'

describe.each(['PostgreSQL', 'SQLite'] as const)('a Synapse on %s', (engine) => {
  let world: OldWorld
  let reader: EncryptedApp
  let writer: EncryptedApp
  let room: string
  let oldMessage: string

  beforeAll(async () => {
    world = await startOldWorld(engine)
  })
  afterAll(async () => {
    reader?.client.stopClient()
    writer?.client.stopClient()
    await world?.close()
  })

  test('before the switch, its own login knows everyone, and tokens work as they should', async () => {
    const { people, homeserver } = world
    expect((await passwordLogin(homeserver.url, 'alice@mail.example.test', OLD_PASSWORD)).status).toBe(200)
    const statuses = await Promise.all(
      Object.entries(people).map(async ([name, { accessToken }]) => [
        name,
        (await whoami(homeserver.url, accessToken)).status,
      ]),
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
})
