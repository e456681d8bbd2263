import { hash as bcryptHash } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fromUuid, newId, toUuid } from '../../src/ids.ts'
import { setPasswordHash } from '../../src/users/store.ts'
import { openAccount } from '../support/account.ts'
import { compatSession, matrix, passwordLogin } from '../support/compat.ts'
import { addUser, introspect, obtainTokens, PASSWORD, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let alice: string

beforeAll(async () => {
  const many = { points: 1000, per_seconds: 60 }
  postern = await startPostern({
    config: {
      limits: { sign_in_per_address: many, sign_in_per_user: many },
      passwords: { bcrypt_pepper: 'pepper!' },
    },
  })
  alice = await addUser(postern, 'alice')
})
afterAll(() => postern.close())

const wrong = { errcode: 'M_FORBIDDEN', error: 'Invalid username/password' }

describe('GET /login', () => {
  it('offers password, single sign-on with a hint for OAuth-aware apps, and login tokens', async () => {
    const { status, body } = await matrix(postern, 'GET', 'v3/login')
    expect(status).toBe(200)
    expect(body).toEqual({
      flows: [
        { type: 'm.login.password' },
        {
          type: 'm.login.sso',
          oauth_aware_preferred: true,
          'org.matrix.msc3824.delegated_oidc_compatibility': true,
          identity_providers: [{ id: 'postern', name: 'localhost.test' }],
        },
        { type: 'm.login.token' },
      ],
    })
  })

  it('stands under every version that Synapse serves it under', async () => {
    for (const version of ['r0', 'v1', 'v3', 'api/v1', 'unstable']) {
      expect((await matrix(postern, 'GET', `${version}/login`)).status, version).toBe(200)
    }
    expect((await matrix(postern, 'GET', 'v2/login')).body).toMatchObject({ errcode: 'M_UNRECOGNIZED' })
  })
})

describe('m.login.password', () => {
  it('gives a token that never expires, a device at the homeserver and what the homeserver reads', async () => {
    const { status, headers, body } = await passwordLogin(postern, 'alice', {
      initial_device_display_name: 'Old phone',
    })
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(body).toEqual({
      user_id: '@alice:localhost.test',
      access_token: expect.stringMatching(/^mct_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/),
      device_id: expect.stringMatching(/^[A-Z]{10}$/),
      home_server: 'localhost.test',
    })
    expect(postern.homeserver.devices('alice')).toContain(body.device_id)
    expect(postern.homeserver.calls.find(({ name }) => name === 'upsert_device')?.body).toMatchObject({
      display_name: 'Old phone',
    })
    postern.clock.advance(10 * 365 * 86_400)
    const found = await introspect(postern, String(body.access_token))
    expect(found.body).toMatchObject({
      active: true,
      client_id: 'legacy',
      username: 'alice',
      sub: alice,
      device_id: body.device_id,
    })
    expect(found.body).not.toHaveProperty('exp')
    expect(String(found.body.scope).split(' ')).toContain('urn:matrix:client:api:*')
    expect(String(found.body.scope)).not.toContain('admin')
  })

  it('takes the whole user ID, the old top-level user, any case, and e-mail that is confirmed', async () => {
    const email = { type: 'm.id.thirdparty', medium: 'email', address: 'Alice@Mail.example' }
    const at = postern.clock.now()
    const row = { user_id: toUuid(alice), created_at: at }
    await postern.db('user_emails').insert([
      { ...row, id: toUuid(newId(at)), email: 'alice@mail.example', confirmed_at: at },
      { ...row, id: toUuid(newId(at)), email: 'new@mail.example', confirmed_at: null },
    ])
    for (const who of [
      { identifier: { type: 'm.id.user', user: '@alice:localhost.test' } },
      { identifier: { type: 'm.id.user', user: 'ALICE' } },
      { identifier: { type: 'm.id.user', user: '@Alice:LOCALHOST.test' } },
      { identifier: undefined, user: 'alice' },
      { identifier: undefined, user: '@alice:localhost.test' },
      { identifier: email },
      { identifier: undefined, medium: 'email', address: 'alice@mail.example' },
    ]) {
      const { status, body } = await passwordLogin(postern, '', who)
      expect(status, JSON.stringify(who)).toBe(200)
      expect(body.user_id).toBe('@alice:localhost.test')
    }
    for (const address of ['new@mail.example', 'nobody@mail.example', 'alice']) {
      const { status, body } = await passwordLogin(postern, '', { identifier: { ...email, address } })
      expect(status).toBe(403)
      expect(body).toEqual(wrong)
    }
  })

  it('means the exact user where names differ only by case, and none where that is ambiguous', async () => {
    const at = postern.clock.now()
    for (const localpart of ['Case', 'case']) {
      const id = newId(at)
      await postern.db('users').insert({ id: toUuid(id), localpart, created_at: at, provisioned_at: at })
      postern.homeserver.addUser(localpart)
      await setPasswordHash(postern.db, id, await bcryptHash(`${localpart}pepper!`, 4), at)
    }
    const login = async (user: string, password: string) =>
      (await passwordLogin(postern, user, { password })).body.user_id
    expect(await login('Case', 'Case')).toBe('@Case:localhost.test')
    expect(await login('case', 'case')).toBe('@case:localhost.test')
    expect(await login('CASE', 'case')).toBeUndefined()
  })

  it('takes passwords that were imported from Synapse, with its pepper', async () => {
    const at = postern.clock.now()
    const id = newId(at)
    await postern
      .db('users')
      .insert({ id: toUuid(id), localpart: 'moved', created_at: at, provisioned_at: at })
    postern.homeserver.addUser('moved')
    await setPasswordHash(postern.db, id, await bcryptHash('long agopepper!', 4), at)
    expect((await passwordLogin(postern, 'moved', { password: 'long ago' })).status).toBe(200)
    expect((await passwordLogin(postern, 'moved', { password: 'long agopepper!' })).status).toBe(403)
  })

  it('gives refresh tokens to apps that ask for them, and then a short access token', async () => {
    const { body } = await passwordLogin(postern, 'alice', { refresh_token: true })
    expect(body).toMatchObject({ expires_in_ms: 300_000, refresh_token: expect.stringMatching(/^mcr_/) })
    const found = await introspect(postern, String(body.access_token))
    expect(found.body.expires_in).toBeLessThanOrEqual(300)
    postern.clock.advance(301)
    expect((await introspect(postern, String(body.access_token))).body).toEqual({ active: false })
  })

  it('checks a chosen device ID before it counts or hashes anything', async () => {
    for (const device_id of ['', 'with space', 'ümlaut', 'a"b', 'x'.repeat(256), 'a\nb']) {
      const { status, body } = await passwordLogin(postern, 'alice', { device_id })
      expect(status, device_id).toBe(400)
      expect(body).toMatchObject({ errcode: 'M_INVALID_PARAM', error: expect.stringContaining('device_id') })
    }
    expect((await passwordLogin(postern, 'alice', { device_id: 'my-laptop.1' })).body.device_id).toBe(
      'my-laptop.1',
    )
  })

  it('replaces the session on a device in use, whichever door made it, and leaves the device', async () => {
    const first = await compatSession(postern, 'alice', { device_id: 'SHARED' })
    const second = await compatSession(postern, 'alice', { device_id: 'SHARED' })
    expect((await introspect(postern, first.access_token)).body.active).toBe(false)
    expect((await introspect(postern, second.access_token)).body.active).toBe(true)

    const oauth = await obtainTokens(postern, await registerClient(postern), 'alice')
    const third = await compatSession(postern, 'alice', { device_id: 'ABCDEFGHIJ' })
    expect((await introspect(postern, oauth.access_token)).body.active).toBe(false)
    expect((await introspect(postern, third.access_token)).body.active).toBe(true)
    expect(postern.homeserver.devices('alice')).toEqual(expect.arrayContaining(['SHARED', 'ABCDEFGHIJ']))
  })

  it('shows in the list of devices by the name that the app gave, and ends there like any other', async () => {
    const { access_token, device_id } = await compatSession(postern, 'alice', {
      initial_device_display_name: 'Grandma’s tablet',
    })
    const session = await postern.db('sessions').where({ device_id }).first()
    expect(session).toMatchObject({ kind: 'compat', name: 'Grandma’s tablet', last_active_ip: '127.0.0.1' })
    const agent = await openAccount(postern, 'alice')
    expect((await agent.get(`${postern.url}account`)).body).toContain('Grandma’s tablet')
    const end = await agent.get(`${postern.url}account/sessions/${fromUuid(session.id)}/end`)
    expect((await agent.submit(end, {})).status).toBe(303)
    expect((await introspect(postern, access_token)).body.active).toBe(false)
  })
})

describe('a sign-in that fails', () => {
  it('looks the same for a wrong password, a stranger, no password, another server and a deactivated user', async () => {
    const at = postern.clock.now()
    await postern
      .db('users')
      .insert({ id: toUuid(newId(at)), localpart: 'nopass', created_at: at, provisioned_at: at })
    const gone = await addUser(postern, 'gone')
    await postern.app.accounts.deactivate(gone, { erase: false }, { actor: 'operator' })
    const answers = [
      await passwordLogin(postern, 'alice', { password: 'wrong' }),
      await passwordLogin(postern, 'stranger'),
      await passwordLogin(postern, 'nopass'),
      await passwordLogin(postern, '@alice:elsewhere.example'),
      await passwordLogin(postern, 'gone'),
    ]
    for (const { status, body } of answers) {
      expect(status).toBe(403)
      expect(body).toEqual(wrong)
    }
  })

  it('says M_USER_LOCKED after the right password only, and the session lives on after the unlock', async () => {
    const id = await addUser(postern, 'held')
    const session = await compatSession(postern, 'held', { refresh_token: true })
    await postern.app.accounts.lock(id, { actor: 'operator' })
    expect((await passwordLogin(postern, 'held', { password: 'wrong' })).body).toEqual(wrong)
    const { status, body } = await passwordLogin(postern, 'held')
    expect(status).toBe(401)
    expect(body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })

    const refreshed = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: session.refresh_token },
    })
    expect(refreshed.status).toBe(401)
    expect(refreshed.body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
    await postern.app.accounts.unlock(id, { actor: 'operator' })
    const after = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: session.refresh_token },
    })
    expect(after.status).toBe(200)
  })

  it('says what is wrong with the request', async () => {
    const user = { type: 'm.id.user', user: 'alice' }
    const rows: [unknown, string, RegExp][] = [
      [{ type: 'm.login.unheard_of' }, 'M_UNKNOWN', /Invalid login type/],
      [
        {
          type: 'm.login.password',
          identifier: { type: 'm.id.phone', country: 'DE', phone: '1' },
          password: 'x',
        },
        'M_UNKNOWN',
        /Unsupported login identifier/,
      ],
      [
        {
          type: 'm.login.password',
          identifier: { type: 'm.id.thirdparty', medium: 'msisdn', address: '49123' },
          password: 'x',
        },
        'M_UNKNOWN',
        /Unsupported login identifier/,
      ],
      [{ type: 'm.login.password', password: 'x' }, 'M_BAD_JSON', /identifier/],
      [{ type: 'm.login.password', identifier: user }, 'M_BAD_JSON', /'password'/],
      [{ type: 'm.login.password', identifier: { type: 'm.id.user' }, password: 'x' }, 'M_BAD_JSON', /user/],
      [{ type: 'm.login.password', identifier: 'alice', password: 'x' }, 'M_BAD_JSON', /'identifier'/],
      [{ type: 'm.login.password', identifier: user, password: 7 }, 'M_BAD_JSON', /'password'/],
      [{ type: 5 }, 'M_BAD_JSON', /'type'/],
      [{}, 'M_BAD_JSON', /'type'/],
      [
        { type: 'm.login.password', identifier: user, password: PASSWORD, refresh_token: 'yes' },
        'M_BAD_JSON',
        /'refresh_token' must be a boolean/,
      ],
    ]
    for (const [body, errcode, error] of rows) {
      const answer = await matrix(postern, 'POST', 'v3/login', { body })
      expect(answer.status, JSON.stringify(body)).toBe(400)
      expect(answer.body.errcode, JSON.stringify(body)).toBe(errcode)
      expect(answer.body.error).toMatch(error)
    }
  })
})

describe('with passwords switched off', () => {
  it('neither offers nor takes them', async () => {
    const other = await startPostern({ config: { passwords: { enabled: false } } })
    const flows = (await matrix(other, 'GET', 'v3/login')).body.flows as { type: string }[]
    expect(flows.map(({ type }) => type)).toEqual(['m.login.sso', 'm.login.token'])
    const { status, body } = await passwordLogin(other, 'alice')
    expect(status).toBe(400)
    expect(body).toMatchObject({ errcode: 'M_UNKNOWN', error: 'Invalid login type' })
    await other.close()
  })
})
