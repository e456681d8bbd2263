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
import { passwordLogin, whoami } from '../support/migrate/matrix-api.ts'
import { SERVER_NAME } from '../support/migrate/old-synapse.ts'
import { type OldWorld, startOldWorld } from '../support/migrate/old-world.ts'
import { changeEndpoint, follow, readBySynapse } from '../support/migrate/operator.ts'
import { OLD_PASSWORD, type OldSession } from '../support/migrate/people.ts'

// Each of these goes on where the one before it stopped: an operator follows the guide, and apps watch.
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
    await follow(world, blocks('1. Install Postern'))
    const [configure = '', diff = '', makeDatabase = '', start = ''] = blocks('2. Write both configurations')
    expect(await follow(world, [configure])).toContain('Synapse accepts the edited configuration.')
    expect(await follow(world, [diff])).toContain('matrix_authentication_service')
    await changeEndpoint(world)
    if (engine === 'PostgreSQL') await follow(world, [makeDatabase])
    await follow(world, [start])
    const edited = join(world.opt, 'homeserver.yaml')
    expect(await readBySynapse(world, [edited, join(world.synapse.etc, 'conf.d')])).toBe(
      `${SERVER_NAME} True http://127.0.0.1:${world.posternPort}/`,
    )
    expect(await readFile(edited, 'utf8')).toContain('# no federation here')
  })
})
