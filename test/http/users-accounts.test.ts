import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHomeserver } from '../../src/homeserver/client.ts'
import { newId, toUuid } from '../../src/ids.ts'
import { insertSession } from '../../src/sessions/start/store.ts'
import { listLiveSessions } from '../../src/sessions/store.ts'
import { findUserById, findUserByLocalpart, listUsers, type UserFilter } from '../../src/users/store.ts'
import { type AccountsWorld, createAccountsWorld, GOOD_PASSWORD, OPERATOR } from '../support/accounts.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'

let database: TestDatabase
let homeserver: FakeHomeserver
let world: AccountsWorld

beforeAll(async () => {
  database = await createTestDatabase()
  homeserver = await startFakeHomeserver()
  const { url, secret } = homeserver
  world = createAccountsWorld(database.knex, {
    homeserver: createHomeserver({ endpoint: url, secret, timeoutSeconds: 5 }),
  })
})
afterAll(async () => {
  await world.close()
  await homeserver.stop()
  await database.close()
})

const ip = '192.0.2.1'
const add = (localpart: string, more: object = {}) =>
  world.addUser.add({ localpart, password: GOOD_PASSWORD, ...more }, OPERATOR)
const signIn = (identifier: string, password = GOOD_PASSWORD) =>
  world.signIn({ identifier, password, ip }, (trx, user) => world.browserSessions.start(trx, user, { ip }))

async function appSession(userId: string, deviceId: string): Promise<void> {
  await insertSession(database.knex, {
    id: newId(world.clock.now()),
    kind: 'oauth',
    userId,
    clientId: 'app',
    deviceId,
    scope: 'openid',
    browserSessionId: null,
    createdAt: world.clock.now(),
    expiresAt: null,
    ip: null,
    userAgent: null,
    name: null,
  })
}

/** The jobs that were queued for a user, oldest first. */
async function jobsOf(userId: string): Promise<{ name: string; data: object }[]> {
  return database
    .knex('pgboss.job')
    .whereRaw("data->>'userId' = ?", [userId])
    .orderBy('created_on')
    .select('name', 'data')
}

const lastEvent = async () => database.knex('audit_events').orderBy('id', 'desc').first()

describe('adding a user', () => {
  it('records it and tells the homeserver, in the transaction that adds the user', async () => {
    const user = await add('alice', { admin: true })
    expect(await findUserByLocalpart(database.knex, 'alice')).toEqual(user)
    expect(user).toMatchObject({ isAdmin: true, provisionedAt: null })
    expect(await lastEvent()).toMatchObject({
      event: 'user.added',
      actor: 'operator',
      user_id: toUuid(user.id),
    })
    expect(await jobsOf(user.id)).toEqual([{ name: 'user.sync', data: { userId: user.id } }])
    expect(await signIn('alice')).toMatchObject({ ok: true })
  })

  it('is refused for a name that is taken here, also in another case', async () => {
    await add('bob')
    await expect(add('bob')).rejects.toMatchObject({ code: 'user_exists', status: 409 })
    await database.knex('users').where({ localpart: 'bob' }).update({ localpart: 'Bob' })
    await expect(add('bob')).rejects.toMatchObject({ code: 'user_exists' })
  })

  it('twenty times at once adds one', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => add('twenty', { password: undefined })),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
    expect(new Set(refusals)).toEqual(new Set(['user_exists']))
  })

  it('never takes over a user of the homeserver silently', async () => {
    homeserver.addUser('carol')
    await expect(add('carol')).rejects.toMatchObject({ code: 'localpart_in_use', message: /--adopt/ })
    expect(await findUserByLocalpart(database.knex, 'carol')).toBeUndefined()
    expect(await add('carol', { adopt: true })).toMatchObject({ localpart: 'carol' })
  })

  it('adopts a user whose name new ones may not have, and nobody who does not exist', async () => {
    homeserver.addUser('Old_Name')
    expect(await add('Old_Name', { adopt: true })).toMatchObject({ localpart: 'Old_Name' })
    await expect(add('No_Such', { adopt: true })).rejects.toMatchObject({ code: 'invalid_localpart' })
    expect(await add('new.name', { adopt: true })).toMatchObject({ localpart: 'new.name' })
  })

  it("is refused for names of an appservice, and for a password that won't do", async () => {
    homeserver.exclusive.add('bridge_bot')
    await expect(add('bridge_bot')).rejects.toMatchObject({ code: 'localpart_exclusive' })
    await expect(add('dan', { password: 'password1' })).rejects.toMatchObject({ code: 'password_too_common' })
    await expect(add('Dan')).rejects.toMatchObject({ code: 'invalid_localpart' })
    expect(await findUserByLocalpart(database.knex, 'dan')).toBeUndefined()
  })

  it('fails clearly while the homeserver is away', async () => {
    homeserver.trouble('cut')
    await expect(add('eve')).rejects.toMatchObject({ status: 503 })
    homeserver.recover()
    expect(await add('eve')).toMatchObject({ localpart: 'eve' })
  })
})

describe('changing a user', () => {
  it('locks and unlocks, each recorded once and told to the homeserver, and keeps the browser session', async () => {
    const { id } = await add('frank')
    const signedIn = await signIn('frank')
    if (!signedIn.ok) throw new Error('not signed in')
    const before = (await world.auditEvents()).length
    expect(await world.accounts.lock(id, OPERATOR)).toMatchObject({ lockedAt: world.clock.now() })
    await world.accounts.lock(id, OPERATOR)
    expect(await world.browserSessions.find(signedIn.value.cookie)).toMatchObject({
      user: { lockedAt: world.clock.now() },
    })
    expect(await world.accounts.unlock(id, OPERATOR)).toMatchObject({ lockedAt: null })
    await world.accounts.unlock(id, OPERATOR)
    expect((await world.auditEvents()).slice(before)).toEqual(['user.locked', 'user.unlocked'])
    expect((await jobsOf(id)).map((job) => job.name)).toEqual(Array(3).fill('user.sync'))
  })

  it('deactivates: apps, browsers and the account at the homeserver end together', async () => {
    const { id } = await add('grace')
    const signedIn = await signIn('grace')
    if (!signedIn.ok) throw new Error('not signed in')
    await appSession(id, 'PHONE')
    await appSession(id, 'LAPTOP')
    await world.accounts.deactivate(id, { erase: false }, OPERATOR)
    expect(await listLiveSessions(database.knex, id)).toEqual([])
    expect(await world.browserSessions.find(signedIn.value.cookie)).toBeUndefined()
    expect(await jobsOf(id)).toContainEqual({ name: 'user.sync', data: { userId: id, erase: false } })
    expect((await jobsOf(id)).filter((job) => job.name === 'device.delete')).toHaveLength(2)

    await world.accounts.reactivate(id, OPERATOR)
    expect(await findUserById(database.knex, id)).toMatchObject({ deactivatedAt: null })
    expect(await world.browserSessions.find(signedIn.value.cookie)).toBeUndefined()
    expect(await signIn('grace')).toMatchObject({ ok: true })
  })

  it('erases what a deactivated user left behind, also afterwards', async () => {
    const { id } = await add('heidi')
    await world.accounts.deactivate(id, { erase: false }, OPERATOR)
    const user = await world.accounts.deactivate(id, { erase: true }, OPERATOR)
    expect(user.deactivatedAt).toEqual(world.clock.now())
    expect(await signIn('heidi')).toEqual({ ok: false, reason: 'credentials' })
    expect((await jobsOf(id)).at(-1)).toEqual({ name: 'user.sync', data: { userId: id, erase: true } })
  })

  it('sets the admin flag and the password, and ends all sessions where that is asked', async () => {
    const { id } = await add('ivan', { password: undefined })
    expect(await signIn('ivan')).toEqual({ ok: false, reason: 'credentials' })
    expect(await world.accounts.setAdmin(id, true, OPERATOR)).toMatchObject({ isAdmin: true })
    await world.accounts.setPassword(id, GOOD_PASSWORD, { endSessions: false }, OPERATOR)
    const signedIn = await signIn('ivan')
    if (!signedIn.ok) throw new Error('not signed in')
    await appSession(id, 'PHONE')
    await world.accounts.setPassword(id, 'another harbour kettle', { endSessions: true }, OPERATOR)
    expect(await listLiveSessions(database.knex, id)).toEqual([])
    expect(await world.browserSessions.find(signedIn.value.cookie)).toBeUndefined()
    const refused = world.accounts.setPassword(id, 'short', { endSessions: false }, OPERATOR)
    await expect(refused).rejects.toMatchObject({ code: 'password_too_short' })
  })

  it('fails for a user who does not exist', async () => {
    const nobody = newId(world.clock.now())
    await expect(world.accounts.lock(nobody, OPERATOR)).rejects.toMatchObject({
      code: 'unknown_user',
      status: 404,
    })
  })

  it('lets no sign-in slip past a deactivation', async () => {
    const { id } = await add('judy')
    const signIns = Array.from({ length: 10 }, () => signIn('judy').catch((error) => error))
    await new Promise((resolve) => setImmediate(resolve))
    await world.accounts.deactivate(id, { erase: false }, OPERATOR)
    await Promise.all(signIns)
    expect(await world.browserSessions.listFor(id)).toEqual([])
  })
})

describe('changing the own password', () => {
  async function signedIn(localpart: string) {
    const user = await add(localpart)
    const result = await signIn(localpart)
    if (!result.ok) throw new Error('not signed in')
    return { user, ...result.value }
  }
  const changeOf = ({ user, cookie, session }: Awaited<ReturnType<typeof signedIn>>) => ({
    user,
    cookie,
    browserSessionId: session.id,
    current: GOOD_PASSWORD,
    next: 'another harbour kettle',
    endOtherSessions: false,
    ip,
  })

  it('check 64: gives this browser a new cookie, and the old one is dead', async () => {
    const here = await signedIn('kevin')
    const changed = await world.changePassword(changeOf(here))
    if (!changed.ok) throw new Error('not changed')
    expect(await world.browserSessions.find(here.cookie)).toBeUndefined()
    expect(await world.browserSessions.find(changed.cookie)).toMatchObject({
      session: { id: here.session.id },
    })
    expect(await signIn('kevin')).toEqual({ ok: false, reason: 'credentials' })
    expect(await signIn('kevin', 'another harbour kettle')).toMatchObject({ ok: true })
  })

  it('keeps or ends the other browsers and apps, as asked', async () => {
    const here = await signedIn('leo')
    const there = await signIn('leo')
    if (!there.ok) throw new Error('not signed in')
    await appSession(here.user.id, 'PHONE')
    const kept = await world.changePassword(changeOf(here))
    if (!kept.ok) throw new Error('not changed')
    expect(await world.browserSessions.find(there.value.cookie)).toBeDefined()
    const ended = await world.changePassword({
      ...changeOf(here),
      cookie: kept.cookie,
      current: 'another harbour kettle',
      next: GOOD_PASSWORD,
      endOtherSessions: true,
    })
    if (!ended.ok) throw new Error('not changed')
    expect(await world.browserSessions.find(there.value.cookie)).toBeUndefined()
    expect(await world.browserSessions.find(ended.cookie)).toBeDefined()
    expect(await listLiveSessions(database.knex, here.user.id)).toEqual([])
  })

  it('needs the current password, records a wrong one, and counts it like a failed sign-in (check 60)', async () => {
    const here = await signedIn('mallory')
    const wrong = { ...changeOf(here), current: 'wrong', ip: '192.0.2.77' }
    for (let index = 0; index < 10; index++) {
      expect(await world.changePassword(wrong)).toEqual({ ok: false, reason: 'credentials' })
    }
    expect(await lastEvent()).toMatchObject({ event: 'password.change_failed' })
    const request = { identifier: 'mallory', password: GOOD_PASSWORD, ip: '192.0.2.77' }
    await expect(world.signIn(request)).rejects.toMatchObject({ code: 'limited' })
    expect(await world.browserSessions.find(here.cookie)).toBeDefined()
  })

  it('changes nothing with the cookie of a browser that was signed out', async () => {
    const here = await signedIn('niaj')
    await world.browserSessions.end(here.session.id, OPERATOR)
    await expect(world.changePassword(changeOf(here))).rejects.toMatchObject({ code: 'signed_out' })
    expect(await signIn('niaj')).toMatchObject({ ok: true })
  })

  it('several times at once has one winner, and never gives a 500', async () => {
    const here = await signedIn('olivia')
    const results = await Promise.all(
      Array.from({ length: 8 }, () => world.changePassword(changeOf(here)).catch((error) => error)),
    )
    expect(results.filter((result) => result.ok === true)).toHaveLength(1)
    for (const result of results) expect(result.ok === undefined ? result.status : 200).toBeLessThan(500)
  })
})

describe('the list of users', () => {
  it('is filtered and paged', async () => {
    const all = await listUsers(database.knex)
    const pages = []
    for (let after: string | undefined; ; ) {
      const page = await listUsers(database.knex, { limit: 3, ...(after && { after }) })
      if (page.length === 0) break
      pages.push(...page)
      after = page.at(-1)?.id
    }
    expect(pages).toEqual(all)
    const names = async (filter: UserFilter) =>
      (await listUsers(database.knex, filter)).map((user) => user.localpart).sort()
    expect(await names({ admin: true })).toEqual(['alice', 'ivan'])
    expect(await names({ search: 'LIC' })).toEqual(['alice'])
    expect(await listUsers(database.knex, { search: "%' or 1=1--" })).toEqual([])
    expect(await listUsers(database.knex, { deactivated: true, locked: true })).toEqual([])
  })
})
