import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asToken, type RegistrationFiles, writeRegistrations } from '../support/appservices.ts'
import { compatSession, type MatrixAnswer, matrix, passwordLogin } from '../support/compat.ts'
import { addUser, introspect, obtainTokens, PASSWORD, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let registrations: RegistrationFiles

const many = { points: 1000, per_seconds: 60 }

beforeAll(async () => {
  registrations = await writeRegistrations({ telegram: {} })
  postern = await startPostern({
    config: {
      appservices: registrations.config,
      limits: { sign_in_per_address: many, sign_in_per_user: many },
    },
  })
})
afterAll(async () => {
  await postern.close()
  await registrations.remove()
})

let count = 0

/** A new user with sessions on as many devices as are asked for. */
async function person(devices = 1) {
  count++
  const name = `person${count}`
  const id = await addUser(postern, name)
  const sessions = []
  for (let device = 0; device < devices; device++) {
    sessions.push(await compatSession(postern, name, { device_id: `${name.toUpperCase()}-${device}` }))
  }
  return {
    id,
    name,
    sessions,
    token: sessions[0]?.access_token ?? '',
    devices: sessions.map((one) => one.device_id),
  }
}

function auth(name: string, session: unknown, password = PASSWORD): Record<string, unknown> {
  return { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password, session }
}

const post = (path: string, token: string, body: unknown) =>
  matrix(postern, 'POST', `v3/${path}`, { token, body })

async function ask(path: string, token: string, body: Record<string, unknown>): Promise<string> {
  const answer = await post(path, token, body)
  expect(answer.status).toBe(401)
  return String(answer.body.session)
}

async function active(token: string): Promise<boolean> {
  return (await introspect(postern, token)).body.active === true
}

describe('what asks for the password', () => {
  const requests: [string, string, string, Record<string, unknown> | undefined][] = [
    ['delete_devices', 'POST', 'delete_devices', { devices: ['OTHER'] }],
    ['DELETE devices', 'DELETE', 'devices/OTHER', undefined],
    ['account/password', 'POST', 'account/password', { new_password: 'violet gramophone 12' }],
    ['account/deactivate', 'POST', 'account/deactivate', {}],
  ]

  it.each(requests)(
    '%s answers with the flow and an ID, and does nothing yet',
    async (_, method, path, body) => {
      const { token, name } = await person()
      for (const version of ['r0', 'v3', 'unstable']) {
        const answer = await matrix(postern, method, `${version}/${path}`, {
          token,
          ...(body ? { body } : {}),
        })
        expect(answer.status).toBe(401)
        expect(answer.body).toEqual({
          flows: [{ stages: ['m.login.password'] }],
          params: {},
          session: expect.stringMatching(/^[0-9A-Za-z]{32}$/),
        })
        expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      }
      expect(await active(token)).toBe(true)
      expect((await passwordLogin(postern, name)).status).toBe(200)
    },
  )

  it.each(requests)(
    '%s tells a wrong password, keeps the ID, and counts it with the sign-in',
    async (_, method, path, body) => {
      const { token, name } = await person()
      const first = await matrix(postern, method, `v3/${path}`, { token, ...(body ? { body } : {}) })
      const wrong = await matrix(postern, method, `v3/${path}`, {
        token,
        body: { ...body, auth: auth(name, first.body.session, 'wrong') },
      })
      expect(wrong.status).toBe(401)
      expect(wrong.body).toEqual({
        errcode: 'M_FORBIDDEN',
        error: 'Invalid password',
        completed: [],
        flows: [{ stages: ['m.login.password'] }],
        params: {},
        session: first.body.session,
      })
      const audit = await postern
        .db('audit_events')
        .where({ event: 'reauthentication.failed' })
        .orderBy('id', 'desc')
      expect(audit[0].user_id).toBe((await postern.db('users').where({ localpart: name }).first('id')).id)
      const right = await matrix(postern, method, `v3/${path}`, {
        token,
        body: { ...body, auth: auth(name, first.body.session) },
      })
      expect(right.status).toBe(200)
    },
  )

  it.each(requests)(
    '%s refuses strangers, locked people and appservices, each in its own words',
    async (_, method, path, body) => {
      const send = (token?: string) =>
        matrix(postern, method, `v3/${path}`, { ...(token ? { token } : {}), ...(body ? { body } : {}) })
      const said = async (answer: Promise<MatrixAnswer>) => {
        const { status, body } = await answer
        return [status, body.errcode, body.soft_logout]
      }
      const { token, id } = await person()
      expect(await said(send())).toEqual([401, 'M_MISSING_TOKEN', undefined])
      expect(await said(send('mct_nothing'))).toEqual([401, 'M_UNKNOWN_TOKEN', false])
      expect(await said(send(asToken('telegram')))).toEqual([404, 'M_UNRECOGNIZED', undefined])
      await postern.app.accounts.lock(id, { actor: 'operator' })
      expect(await said(send(token))).toEqual([401, 'M_USER_LOCKED', true])
    },
  )

  it.each(requests)(
    '%s sends people without a password to the account page',
    async (_, method, path, body) => {
      const { token, name } = await person()
      const { id } = await postern.db('users').where({ localpart: name }).first('id')
      await postern.db('user_passwords').where({ user_id: id }).delete()
      const answer = await matrix(postern, method, `v3/${path}`, { token, ...(body ? { body } : {}) })
      expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
      expect(answer.body.error).toContain(`${postern.url}account`)
    },
  )
})

describe('the ID of an interactive authentication', () => {
  const wanted = { devices: ['SOME', 'MORE'] }

  it('is good once: of twenty at the same time, one wins', async () => {
    const { token, name } = await person()
    const session = await ask('delete_devices', token, wanted)
    const body = { ...wanted, auth: auth(name, session) }
    const answers = await Promise.all(Array.from({ length: 20 }, () => post('delete_devices', token, body)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const { status, body } of answers.filter(({ status }) => status !== 200)) {
      expect(status).toBe(401)
      expect(body.session).not.toBe(session)
    }
  })

  it('is good for what was asked for and nothing else', async () => {
    const { token, name } = await person()
    const session = await ask('delete_devices', token, wanted)
    for (const [path, body] of [
      ['delete_devices', { devices: ['SOME'] }],
      ['delete_devices', { devices: ['SOME', 'MORE', 'OTHERS'] }],
      ['account/deactivate', {}],
      ['account/password', { new_password: 'violet gramophone 12' }],
    ] as const) {
      const answer = await post(path, token, { ...body, auth: auth(name, session) })
      expect([answer.status, answer.body.errcode], path).toEqual([401, 'M_FORBIDDEN'])
      expect(answer.body.session).not.toBe(session)
    }
    const reordered = { devices: ['MORE', 'SOME', 'MORE'], auth: auth(name, session) }
    expect((await post('delete_devices', token, reordered)).status).toBe(200)
  })

  it('is good for the session that asked, not for another of the same person, nor for another person', async () => {
    const one = await person(2)
    const other = await person()
    const session = await ask('delete_devices', one.token, wanted)
    const others: [string, string][] = [
      [one.sessions[1]!.access_token, one.name],
      [other.token, other.name],
    ]
    for (const [token, name] of others) {
      const answer = await post('delete_devices', token, { ...wanted, auth: auth(name, session) })
      expect(answer.status).toBe(401)
    }
  })

  it('expires after a quarter of an hour, and is cleaned away', async () => {
    const { token, name } = await person()
    const session = await ask('delete_devices', token, wanted)
    postern.clock.advance(15 * 60)
    const body = { ...wanted, auth: auth(name, session) }
    const late = await post('delete_devices', token, body)
    expect(late.status).toBe(401)
    const again = { ...wanted, auth: auth(name, late.body.session) }
    expect((await post('delete_devices', token, again)).status).toBe(200)
    postern.clock.advance(15 * 60)
    await postern.app.cleanUp()
    expect(await postern.db('interactive_auth').count()).toEqual([{ count: 0 }])
  })

  it('is stored as a hash, and what was asked for without the new password', async () => {
    const { token } = await person()
    const session = await ask('account/password', token, { new_password: 'violet gramophone 12' })
    const first = await postern.db('interactive_auth').orderBy('created_at', 'desc').first()
    expect(JSON.stringify(first)).not.toContain(session)
    await ask('account/password', token, { new_password: 'another violet gramophone' })
    const rows = await postern
      .db('interactive_auth')
      .where({ session_id: first.session_id })
      .select('request_hash')
    expect(rows).toHaveLength(2)
    expect(rows[0].request_hash.equals(rows[1].request_hash)).toBe(true)
  })

  it('may be left out, as the password stands in the request that it authorises', async () => {
    const { token, name } = await person()
    const { session: _, ...without } = auth(name, undefined)
    expect((await post('delete_devices', token, { ...wanted, auth: without })).status).toBe(200)
  })
})

describe('the password', () => {
  it('has to be that of whoever is signed in', async () => {
    const one = await person()
    const other = await person()
    const session = await ask('account/deactivate', one.token, {})
    for (const user of [
      other.name,
      `@${other.name}:localhost.test`,
      'nobody',
      `@${one.name}:elsewhere.test`,
    ]) {
      const answer = await post('account/deactivate', one.token, { auth: auth(user, session) })
      expect([answer.status, answer.body.errcode], user).toEqual([403, 'M_FORBIDDEN'])
    }
    expect(await active(one.token)).toBe(true)
    expect(await active(other.token)).toBe(true)
  })

  it('may be given with the whole user ID in any case, the old top-level user, or no name at all', async () => {
    const { token, name } = await person()
    for (const who of [
      { identifier: { type: 'm.id.user', user: `@${name.toUpperCase()}:LOCALHOST.TEST` } },
      { user: name },
      {},
    ]) {
      const answer = await post('delete_devices', token, {
        devices: ['X'],
        auth: { type: 'm.login.password', password: PASSWORD, ...who },
      })
      expect(answer.status, JSON.stringify(who)).toBe(200)
    }
  })

  it.each([
    ['another stage', { type: 'm.login.dummy' }, 400, 'M_UNKNOWN'],
    ['no password', { type: 'm.login.password' }, 400, 'M_BAD_JSON'],
    ['a password that is no text', { type: 'm.login.password', password: 1 }, 400, 'M_BAD_JSON'],
    ['auth that is a text', 'please', 400, 'M_BAD_JSON'],
    [
      'an ID that nobody gave',
      { type: 'm.login.password', password: PASSWORD, session: 'x' },
      401,
      'M_FORBIDDEN',
    ],
  ])('with %s does nothing', async (_, given, status, errcode) => {
    const { token } = await person()
    const answer = await post('account/deactivate', token, { auth: given })
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
    expect(await active(token)).toBe(true)
  })

  it('is asked for with the IDs alone where an app asks how far it is', async () => {
    const { token } = await person()
    const session = await ask('account/deactivate', token, {})
    const answer = await post('account/deactivate', token, { auth: { session } })
    expect(answer.status).toBe(401)
    expect(answer.body).not.toHaveProperty('errcode')
  })
})

describe('deleting devices', () => {
  it('ends the sessions on them, and the homeserver forgets them; the others stay', async () => {
    const { token, name, sessions, devices } = await person(4)
    const body = { devices: devices.slice(1, 3) }
    const session = await ask('delete_devices', token, body)
    const answer = await post('delete_devices', token, { ...body, auth: auth(name, session) })
    expect([answer.status, answer.body]).toEqual([200, {}])
    expect(postern.homeserver.devices(name)).toEqual([devices[0], devices[3]])
    expect(await Promise.all(sessions.map((one) => active(one.access_token)))).toEqual([
      true,
      false,
      false,
      true,
    ])
  })

  it('deletes one by its address, whatever characters its ID has, and one that only the homeserver knows', async () => {
    const { token, name } = await person()
    const id = 'old phone/ä?%2F'
    const { body: made } = await passwordLogin(postern, name, { device_id: 'SECOND' })
    const device = `v3/devices/${encodeURIComponent(id)}`
    const first = await matrix(postern, 'DELETE', device, { token })
    const answer = await matrix(postern, 'DELETE', device, {
      token,
      body: { auth: auth(name, first.body.session) },
    })
    expect(answer.status).toBe(200)
    const deletions = postern.homeserver.calls.filter((call) => call.name === 'delete_device')
    expect(deletions.at(-1)?.body).toEqual({ localpart: name, device_id: id })
    expect(made.device_id).toBe('SECOND')
    expect(postern.homeserver.devices(name)).toContain('SECOND')
  })

  it("does not reach other people's devices", async () => {
    const one = await person()
    const other = await person()
    const body = { devices: other.devices }
    const session = await ask('delete_devices', one.token, body)
    expect((await post('delete_devices', one.token, { ...body, auth: auth(one.name, session) })).status).toBe(
      200,
    )
    expect(await active(other.token)).toBe(true)
    expect(postern.homeserver.devices(other.name)).toEqual(other.devices)
  })

  it('and signing out everywhere, at the same time, do not wait for each other', {
    timeout: 180_000,
  }, async () => {
    for (let round = 0; round < 2; round++) {
      const { token, name, sessions } = await person()
      for (let device = 1; device < 12; device++) {
        // The list by activity and the one by ID run against each other.
        postern.clock.advance(1)
        sessions.push(await compatSession(postern, name, { device_id: `${name.toUpperCase()}-${device}` }))
      }
      const body = { devices: sessions.map((one) => one.device_id), auth: auth(name, undefined) }
      const others = sessions.slice(1, 3).map((one) => one.access_token)
      const answers = await Promise.all([
        post('delete_devices', token, body),
        ...others.map((other) => matrix(postern, 'POST', 'v3/logout/all', { token: other })),
      ])
      // Whoever comes late is signed out already.
      for (const { status } of answers) expect([200, 401]).toContain(status)
      expect(postern.homeserver.devices(name)).toEqual([])
    }
  })

  it('holds while the homeserver is away: the session is over, the device goes later', async () => {
    const { token, name, sessions, devices } = await person(2)
    const body = { devices: devices.slice(1) }
    const session = await ask('delete_devices', token, body)
    postern.homeserver.trouble('cut')
    const answer = await post('delete_devices', token, { ...body, auth: auth(name, session) })
    postern.homeserver.recover()
    expect(answer.status).toBe(200)
    expect(await active(sessions[1]!.access_token)).toBe(false)
    const jobs = await postern.db('pgboss.job').where({ name: 'device.delete', state: 'created' })
    expect(jobs.map(({ data }) => data.deviceId)).toContain(devices[1])
  })

  it.each([
    ['devices missing', {}],
    ['devices that is a text', { devices: 'A' }],
    ['a device that is a number', { devices: [1] }],
    ['an empty ID', { devices: [''] }],
    ['an ID of 256 characters', { devices: ['x'.repeat(256)] }],
    ['501 devices', { devices: Array.from({ length: 501 }, (_, n) => `D${n}`) }],
    ['a NUL', { devices: ['A\0'] }],
  ])('refuses %s before it asks for anything', async (_, body) => {
    const { token } = await person()
    const answer = await post('delete_devices', token, body)
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_BAD_JSON'])
  })

  it('is open to an app that signed in by OAuth, as long as its token is for the client-server API', async () => {
    const { name, devices } = await person()
    const clientId = await registerClient(postern)
    const tokens = await obtainTokens(postern, clientId, name)
    const body = { devices }
    const session = await ask('delete_devices', tokens.access_token, body)
    const answer = await post('delete_devices', tokens.access_token, { ...body, auth: auth(name, session) })
    expect(answer.status).toBe(200)
    expect(await active(tokens.access_token)).toBe(true)
    expect(postern.homeserver.devices(name)).not.toContain(devices[0])
    const plain = await obtainTokens(postern, clientId, name, { params: { scope: 'openid' } })
    const refused = await post('delete_devices', plain.access_token, body)
    expect([refused.status, refused.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('changing the password', () => {
  const next = 'violet gramophone 12'

  async function change(token: string, name: string, extra: Record<string, unknown> = {}) {
    const body = { new_password: next, ...extra }
    const session = await ask('account/password', token, body)
    return post('account/password', token, { ...body, auth: auth(name, session) })
  }

  it('signs out everything else and leaves the app that asks', async () => {
    const { token, name, sessions } = await person(3)
    const answer = await change(token, name)
    expect([answer.status, answer.body]).toEqual([200, {}])
    expect(await Promise.all(sessions.map((one) => active(one.access_token)))).toEqual([true, false, false])
    expect(postern.homeserver.devices(name)).toEqual([sessions[0]!.device_id])
    expect((await passwordLogin(postern, name)).status).toBe(403)
    expect((await passwordLogin(postern, name, { password: next })).status).toBe(200)
  })

  it('leaves the others signed in where the app asks for that', async () => {
    const { token, name, sessions } = await person(2)
    expect((await change(token, name, { logout_devices: false })).status).toBe(200)
    expect(await active(sessions[1]!.access_token)).toBe(true)
  })

  it.each(['short', 'password', ''])('refuses %j as too weak before it asks for anything', async (weak) => {
    const { token } = await person()
    const answer = await post('account/password', token, { new_password: weak })
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_WEAK_PASSWORD'])
  })

  it('is refused where passwords are switched off', async () => {
    const { token } = await person()
    const beside = await startPostern({ beside: postern, config: { passwords: { enabled: false } } })
    const answer = await matrix(beside, 'POST', 'v3/account/password', {
      token,
      body: { new_password: next },
    })
    await beside.close()
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('deactivating', () => {
  it.each([
    [undefined, false],
    [false, false],
    [true, true],
  ])('with erase %j ends everything, and tells the homeserver', async (erase, erased) => {
    const { token, name, sessions } = await person(2)
    const body = erase === undefined ? {} : { erase }
    const session = await ask('account/deactivate', token, body)
    const answer = await post('account/deactivate', token, { ...body, auth: auth(name, session) })
    expect([answer.status, answer.body]).toEqual([200, { id_server_unbind_result: 'no-support' }])
    for (const one of sessions) expect(await active(one.access_token)).toBe(false)
    expect((await passwordLogin(postern, name)).status).toBe(403)
    await expect.poll(() => postern.homeserver.user(name)).toMatchObject({ deactivated: true, erased })
    const { id } = await postern.db('users').where({ localpart: name }).first('id')
    const audit = await postern.db('audit_events').where({ user_id: id, event: 'user.deactivated' })
    expect(audit[0]).toMatchObject({ actor: 'user', actor_user_id: id, details: { erase: erased } })
    const after = await post('account/deactivate', token, {})
    expect([after.status, after.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  })
})

it('check 60: guesses count together with the sign-in, also those of somebody who holds a token', async () => {
  const few = await startPostern({
    beside: postern,
    config: { limits: { sign_in_per_user: { points: 3, per_seconds: 300 } } },
  })
  const { token, name } = await person()
  const guess = () =>
    matrix(few, 'POST', 'v3/account/deactivate', {
      token,
      body: { auth: { type: 'm.login.password', password: 'wrong' } },
    })
  for (let attempt = 0; attempt < 3; attempt++) expect((await guess()).status).toBe(401)
  const limited = await guess()
  expect([limited.status, limited.body.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED'])
  expect(limited.body.retry_after_ms).toBeGreaterThan(0)
  expect((await passwordLogin(few, name)).status).toBe(429)
  await few.close()
})
