import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asToken, type RegistrationFiles, writeRegistrations } from '../support/appservices.ts'
import { type MatrixAnswer, matrix } from '../support/compat.ts'
import { addUser, introspect } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let registrations: RegistrationFiles

beforeAll(async () => {
  registrations = await writeRegistrations({
    telegram: {},
    modern: { 'io.element.msc4190': true },
    puppets: { namespaces: { users: [{ regex: '@.*:localhost\\.test', exclusive: false }] } },
  })
  postern = await startPostern({ config: { appservices: registrations.config } })
})
afterAll(async () => {
  await postern.close()
  await registrations.remove()
})

const LOGIN = { type: 'm.login.application_service' }

function login(
  user: string,
  { token = asToken('telegram'), extra = {} }: { token?: string | undefined; extra?: object } = {},
): Promise<MatrixAnswer> {
  const body = { ...LOGIN, identifier: { type: 'm.id.user', user }, ...extra }
  return matrix(postern, 'POST', 'v3/login', { body, token })
}

describe('an appservice that signs in', () => {
  it('is told of in GET /login', async () => {
    const { body } = await matrix(postern, 'GET', 'v3/login')
    expect(body.flows).toContainEqual(LOGIN)
  })

  it('gets a device and a token that never expires for a user whom it registered at the homeserver', async () => {
    postern.homeserver.addUser('telegram_1')
    const { status, body } = await login('telegram_1', {
      extra: { device_id: 'BRIDGE', initial_device_display_name: 'mautrix-telegram' },
    })
    expect(status).toBe(200)
    expect(body).toEqual({
      user_id: '@telegram_1:localhost.test',
      device_id: 'BRIDGE',
      access_token: expect.stringMatching(/^mct_/),
      home_server: 'localhost.test',
    })
    expect(postern.homeserver.devices('telegram_1')).toEqual(['BRIDGE'])
    postern.clock.advance(365 * 86_400)
    expect((await introspect(postern, String(body.access_token))).body).toMatchObject({
      active: true,
      username: 'telegram_1',
      device_id: 'BRIDGE',
    })
  })

  it('signs its bot in, by the whole user ID too, and again in place of the session on the same device', async () => {
    postern.homeserver.addUser('telegrambot')
    const first = await login('@telegrambot:localhost.test', { extra: { device_id: 'BOT' } })
    const second = await login('telegrambot', { extra: { device_id: 'BOT' } })
    expect([first.status, second.status]).toEqual([200, 200])
    expect((await introspect(postern, String(first.body.access_token))).body).toEqual({ active: false })
    expect((await introspect(postern, String(second.body.access_token))).body.active).toBe(true)
    expect(postern.homeserver.devices('telegrambot')).toEqual(['BOT'])
  })

  it('may ask for a refresh token', async () => {
    postern.homeserver.addUser('telegram_2')
    const { body } = await login('telegram_2', { extra: { refresh_token: true } })
    expect(body).toMatchObject({ refresh_token: expect.stringMatching(/^mcr_/), expires_in_ms: 300_000 })
  })

  it('may show its token in the address, as old bridges do', async () => {
    postern.homeserver.addUser('telegram_3')
    const body = { ...LOGIN, identifier: { type: 'm.id.user', user: 'telegram_3' } }
    const answer = await matrix(postern, 'POST', `v3/login?access_token=${asToken('telegram')}`, { body })
    expect(answer.status).toBe(200)
  })

  it('has users who are added once, without a password, with the appservice in the audit table', async () => {
    postern.homeserver.addUser('telegram_many')
    const answers = await Promise.all(Array.from({ length: 20 }, () => login('telegram_many')))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    const users = await postern
      .db('users')
      .where({ localpart: 'telegram_many' })
      .select('id', 'provisioned_at')
    expect(users).toHaveLength(1)
    expect(users[0].provisioned_at).not.toBeNull()
    expect(await postern.db('user_passwords').where({ user_id: users[0].id })).toEqual([])
    const added = await postern.db('audit_events').where({ user_id: users[0].id, event: 'user.added' })
    expect(added).toHaveLength(1)
    expect(added[0].details).toMatchObject({ adopted: true, appservice: 'telegram' })
    const signIns = await postern
      .db('audit_events')
      .where({ user_id: users[0].id, event: 'sign_in.succeeded' })
    expect(signIns[0].details).toEqual({ method: 'appservice', appservice: 'telegram' })
    expect(JSON.stringify(await postern.db('audit_events'))).not.toContain('as-token')
    expect(postern.logged.join('')).not.toContain('as-token')
  })

  it('signs people in whom a pattern of its gives it, such as for double puppeting', async () => {
    await addUser(postern, 'bob')
    expect((await login('bob', { token: asToken('puppets') })).status).toBe(200)
  })
})

describe('an appservice is refused', () => {
  it('with M_EXCLUSIVE outside its namespace, whether there is such a user or not', async () => {
    await addUser(postern, 'alice')
    for (const user of [
      'alice',
      'nobody',
      'puppetsbot',
      '@telegram_1:elsewhere.test',
      'TELEGRAM_1',
      'telegram_1:localhost.test:evil',
      '@x@telegram_1:localhost.test',
      '',
    ]) {
      const { status, body } = await login(user)
      expect([status, body.errcode], user).toEqual([403, 'M_EXCLUSIVE'])
    }
    expect(postern.homeserver.calls.filter(({ body }) => body.localpart === 'nobody')).toEqual([])
  })

  it('for a user that differs in case from the one that its pattern means', async () => {
    await addUser(postern, 'carol')
    const { status, body } = await login('Carol', { token: asToken('puppets') })
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })

  it('with M_FORBIDDEN for a user whom nobody registered', async () => {
    const { status, body } = await login('telegram_unknown')
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(await postern.db('users').where({ localpart: 'telegram_unknown' })).toEqual([])
  })

  it('with M_FORBIDDEN without a token or with a wrong one', async () => {
    for (const token of [undefined, 'wrong', 'hs-token-of-telegram', `${asToken('telegram')}x`]) {
      const body = { ...LOGIN, identifier: { type: 'm.id.user', user: 'telegram_1' } }
      const answer = await matrix(postern, 'POST', 'v3/login', { body, ...(token ? { token } : {}) })
      expect([answer.status, answer.body.errcode], token).toEqual([403, 'M_FORBIDDEN'])
    }
  })

  it('with M_APPSERVICE_LOGIN_UNSUPPORTED where it makes its devices itself (MSC4190)', async () => {
    postern.homeserver.addUser('modern_1')
    const { status, body } = await login('modern_1', { token: asToken('modern') })
    expect([status, body.errcode]).toEqual([400, 'M_APPSERVICE_LOGIN_UNSUPPORTED'])
    expect(postern.homeserver.devices('modern_1')).toEqual([])
  })

  it('for a deactivated user, be it here or at the homeserver', async () => {
    postern.homeserver.addUser('telegram_gone')
    postern.homeserver.user('telegram_gone')!.deactivated = true
    expect((await login('telegram_gone')).body.errcode).toBe('M_USER_DEACTIVATED')
    const id = await addUser(postern, 'telegram_left')
    await postern.app.accounts.deactivate(id, { erase: false }, { actor: 'operator' })
    const { status, body } = await login('telegram_left')
    expect([status, body.errcode]).toEqual([403, 'M_USER_DEACTIVATED'])
  })

  it('while the user is locked, and told to keep its keys', async () => {
    const id = await addUser(postern, 'telegram_locked')
    await postern.app.accounts.lock(id, { actor: 'operator' })
    const { status, body } = await login('telegram_locked')
    expect(status).toBe(401)
    expect(body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
  })

  it('with 503 while the homeserver is away, and nothing is left behind', async () => {
    postern.homeserver.addUser('telegram_later')
    postern.homeserver.trouble('cut')
    const { status, body, headers } = await login('telegram_later')
    postern.homeserver.recover()
    expect([status, body.errcode]).toEqual([503, 'M_UNKNOWN'])
    expect(headers.get('retry-after')).toBe('5')
    expect(await postern.db('users').where({ localpart: 'telegram_later' })).toEqual([])
    expect((await login('telegram_later')).status).toBe(200)
  })

  it.each([
    ['no identifier', {}, 'M_BAD_JSON'],
    ['the old top-level user', { user: 'telegram_1' }, 'M_BAD_JSON'],
    ['an identifier that is a text', { identifier: 'telegram_1' }, 'M_BAD_JSON'],
    ['a user that is a number', { identifier: { type: 'm.id.user', user: 1 } }, 'M_BAD_JSON'],
    ['an e-mail address', { identifier: { type: 'm.id.thirdparty', user: 'telegram_1' } }, 'M_INVALID_PARAM'],
  ])('for %s', async (_, members, errcode) => {
    const answer = await matrix(postern, 'POST', 'v3/login', {
      body: { ...LOGIN, ...members },
      token: asToken('telegram'),
    })
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })

  it('does not sign people in who show a password, whatever token they send', async () => {
    const { status, body } = await matrix(postern, 'POST', 'v3/login', {
      body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'telegram_1' }, password: '' },
      token: asToken('telegram'),
    })
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })
})

it('where no registration file is named, no appservice signs in and GET /login tells of none', async () => {
  const beside = await startPostern({ beside: postern })
  const { body } = await matrix(beside, 'GET', 'v3/login')
  expect(body.flows).not.toContainEqual(LOGIN)
  const answer = await matrix(beside, 'POST', 'v3/login', {
    body: { ...LOGIN, identifier: { type: 'm.id.user', user: 'telegram_1' } },
    token: asToken('telegram'),
  })
  expect([answer.status, answer.body.errcode]).toEqual([400, 'M_APPSERVICE_LOGIN_UNSUPPORTED'])
  await beside.close()
})
