import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { User } from '../../src/users/store.ts'
import { type AccountsWorld, createAccountsWorld, OPERATOR } from '../support/accounts.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let world: AccountsWorld
let user: User

beforeAll(async () => {
  database = await createTestDatabase()
  world = createAccountsWorld(database.knex)
  user = await world.addUser.add({ localpart: 'alice' }, OPERATOR)
})
afterAll(async () => {
  await world.close()
  await database.close()
})

const start = () =>
  world.browserSessions.start(database.knex, user, { ip: '192.0.2.1', userAgent: 'Firefox' })
const find = (cookie: string) => world.browserSessions.find(cookie)

describe('a browser session', () => {
  it('is found by its cookie, of which only a hash is stored', async () => {
    const { cookie, session } = await start()
    expect(cookie).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(await find(cookie)).toEqual({ session, user })
    const dump = await database
      .knex('browser_sessions')
      .select(database.knex.raw('browser_sessions::text as row'))
    const hex = Buffer.from(cookie).toString('hex')
    for (const { row } of dump) {
      expect(row).not.toContain(cookie)
      expect(row).not.toContain(hex)
      expect(row).not.toContain(Buffer.from(cookie, 'base64url').toString('hex'))
    }
  })

  it.each(['', 'x', 'a'.repeat(43), 'a'.repeat(10_000), 'a\0b', '%'])(
    'is not found by %j',
    async (cookie) => {
      expect(await find(cookie)).toBeUndefined()
    },
  )

  it('check 64: is gone after the sign-out, which is recorded once', async () => {
    const { cookie, session } = await start()
    const before = (await world.auditEvents()).length
    expect(await world.browserSessions.end(session.id, { actor: 'user', actorUserId: user.id })).toBe(true)
    expect(await world.browserSessions.end(session.id, { actor: 'user', actorUserId: user.id })).toBe(false)
    expect(await find(cookie)).toBeUndefined()
    expect(await world.browserSessions.get(session.id)).toBeUndefined()
    expect((await world.auditEvents()).slice(before)).toEqual(['browser_session.ended'])
  })

  it('check 64: gets a new cookie when the person signs in again, and a new auth_time', async () => {
    const { cookie, session } = await start()
    world.clock.advance(600)
    const again = await world.browserSessions.reauthenticate(database.knex, cookie)
    expect(again?.session).toMatchObject({ id: session.id, authenticatedAt: world.clock.now() })
    expect(await find(cookie)).toBeUndefined()
    expect(await find(again!.cookie)).toMatchObject({ session: { id: session.id } })
  })

  it('twenty sign-ins at once with one cookie: one gets the session, and its cookie is alive', async () => {
    const { cookie } = await start()
    const results = await Promise.all(
      Array.from({ length: 20 }, () => world.browserSessions.reauthenticate(database.knex, cookie)),
    )
    const winners = results.filter((result) => result !== undefined)
    expect(winners).toHaveLength(1)
    expect(await find(winners[0]!.cookie)).toBeDefined()
  })

  it('can be the only one left', async () => {
    const { cookie, session } = await start()
    await start()
    const others = (await world.browserSessions.listFor(user.id)).length - 1
    expect(await world.browserSessions.endOthers(database.knex, user.id, session.id, OPERATOR)).toBe(others)
    expect((await world.browserSessions.listFor(user.id)).map((one) => one.id)).toEqual([session.id])
    expect(await find(cookie)).toBeDefined()
  })

  it('notes its last activity once a minute, and at once from another address', async () => {
    const { cookie, session } = await start()
    const lastSeen = async () => {
      const found = await find(cookie)
      return [found?.session.lastActiveAt, found?.session.lastActiveIp]
    }
    const started = world.clock.now()
    world.clock.advance(30)
    await world.browserSessions.touch(session, '192.0.2.1')
    expect(await lastSeen()).toEqual([started, '192.0.2.1'])
    await world.browserSessions.touch(session, '192.0.2.2')
    expect(await lastSeen()).toEqual([world.clock.now(), '192.0.2.2'])
    world.clock.advance(61)
    await world.browserSessions.touch(session, '192.0.2.2')
    expect(await lastSeen()).toEqual([world.clock.now(), '192.0.2.2'])
  })
})
