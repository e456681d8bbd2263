import { afterEach, describe, expect, it } from 'vitest'
import { withUserLock } from '../../src/homeserver/store.ts'
import { newId, toUuid } from '../../src/ids.ts'
import { createAgent } from '../support/agent.ts'
import { compatSession, matrix, passwordLogin } from '../support/compat.ts'
import { addUser, PASSWORD, post, signIn } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
afterEach(() => postern.close())

describe('too many wrong passwords', () => {
  it('are answered 429 with the time to wait, counted together with the web form', async () => {
    postern = await startPostern({ config: { limits: { sign_in_per_user: { points: 4, per_seconds: 60 } } } })
    await addUser(postern, 'alice')
    const agent = createAgent(postern.url)
    for (let round = 0; round < 2; round++) {
      await signIn(agent, await agent.get(`${postern.url}login`), 'alice', 'wrong')
      expect((await passwordLogin(postern, 'alice', { password: 'wrong' })).status).toBe(403)
    }
    const { status, headers, body } = await passwordLogin(postern, '@ALICE:localhost.test')
    expect(status).toBe(429)
    expect(body).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: expect.any(Number) })
    expect(Number(body.retry_after_ms)).toBe(Number(headers.get('retry-after')) * 1000)
    expect(headers.get('access-control-expose-headers')).toContain('Retry-After')
    const page = await signIn(agent, await agent.get(`${postern.url}login`), 'alice')
    expect(page.status).toBe(429)
  })

  it('count names that nobody has, too', async () => {
    postern = await startPostern({ config: { limits: { sign_in_per_user: { points: 2, per_seconds: 60 } } } })
    const email = { identifier: { type: 'm.id.thirdparty', medium: 'email', address: 'x@y.example' } }
    for (const who of [{}, email]) {
      for (let round = 0; round < 2; round++) {
        expect((await passwordLogin(postern, 'nobody', who)).status).toBe(403)
      }
      expect((await passwordLogin(postern, 'nobody', who)).status).toBe(429)
    }
  })
})

describe('a homeserver that is away', () => {
  it('is told in Matrix JSON with 503, and nothing is half-done', async () => {
    postern = await startPostern()
    await addUser(postern, 'alice')
    for (const trouble of ['cut', 'nonsense', { status: 500 }, { status: 502 }] as const) {
      postern.homeserver.trouble(trouble)
      const { status, headers, body } = await passwordLogin(postern, 'alice')
      expect(status).toBe(503)
      expect(body.errcode).toBe('M_UNKNOWN')
      expect(headers.get('retry-after')).toBe('5')
      expect(await postern.db('sessions').where({ kind: 'compat' })).toEqual([])
      postern.homeserver.recover()
    }
    expect((await passwordLogin(postern, 'alice')).status).toBe(200)
  })
})

describe('a database that is away', () => {
  it('is told in Matrix JSON with 503, and the same refresh works afterwards', async () => {
    postern = await startPostern()
    await addUser(postern, 'alice')
    const body = await compatSession(postern, 'alice', { refresh_token: true })
    // Somebody holds the tables for longer than a statement may take.
    const holder = await postern.db.transaction()
    await holder.raw('lock table tokens, users in access exclusive mode')
    const answers = [
      matrix(postern, 'POST', 'v3/refresh', { body }),
      matrix(postern, 'POST', 'v3/logout', { token: body.access_token }),
      passwordLogin(postern, 'alice'),
    ]
    for (const { status, headers, body } of await Promise.all(answers)) {
      expect(status).toBe(503)
      expect(headers.get('retry-after')).toBe('5')
      expect(body).toMatchObject({ errcode: 'M_UNKNOWN', retry_after_ms: 5000 })
    }
    await holder.rollback()
    expect((await matrix(postern, 'POST', 'v3/refresh', { body })).status).toBe(200)
  })
})

describe('check 58: a stranger learns nothing from the time', () => {
  it('whether the name or the address is unknown, known, or without a password', {
    retry: 2,
    timeout: 180_000,
  }, async () => {
    const many = { points: 1000, per_seconds: 60 }
    postern = await startPostern({
      config: { limits: { sign_in_per_address: many, sign_in_per_user: many } },
    })
    const at = postern.clock.now()
    const user_id = toUuid(await addUser(postern, 'alice'))
    const email = 'alice@mail.example'
    await postern
      .db('user_emails')
      .insert({ id: toUuid(newId(at)), user_id, email, created_at: at, confirmed_at: at })
    await postern.app.addUser.add({ localpart: 'nopass' }, { actor: 'operator' })
    const byEmail = (address: string) => ({
      identifier: { type: 'm.id.thirdparty', medium: 'email', address },
    })
    const attempts: [string, Record<string, unknown>][] = [
      ['alice', {}],
      ['nobody', {}],
      ['nopass', {}],
      ['', byEmail(email)],
      ['', byEmail('nobody@mail.example')],
    ]
    const samples = attempts.map((): number[] => [])
    for (let round = 0; round < 50; round++) {
      // They take turns, so that a busy machine slows all of them alike.
      for (const [index, [user, extra]] of attempts.entries()) {
        const before = performance.now()
        const { status } = await passwordLogin(postern, user, { ...extra, password: 'wrong password' })
        samples[index]?.push(performance.now() - before)
        expect(status).toBe(403)
      }
    }
    // Whatever else the machine does makes some of them slower and none of them faster: the quicker half tells.
    const typical = samples.map((times) => times.sort((a, b) => a - b)[12] ?? 0)
    expect(Math.max(...typical) - Math.min(...typical)).toBeLessThan(Math.max(5, Math.min(...typical) * 0.1))
  })
})

describe('between the right password and the session', () => {
  /** Signs in, and does something after the password was found right and the device was made. */
  async function signInDuring(id: string, what: () => Promise<unknown>) {
    const upserts = () => postern.homeserver.calls.filter(({ name }) => name === 'upsert_device').length
    const before = upserts()
    return withUserLock(postern.db, id, async () => {
      const answer = passwordLogin(postern, 'alice')
      await expect.poll(upserts).toBe(before + 1)
      await what()
      return { answer }
    })
  }

  it('a password that was changed gives no session', async () => {
    postern = await startPostern()
    const id = await addUser(postern, 'alice')
    const other = 'another password that is long'
    const set = () =>
      postern.app.accounts.setPassword(id, other, { endSessions: true }, { actor: 'operator' })
    const { answer } = await signInDuring(id, set)
    expect((await answer).status).toBe(503)
    expect(await postern.db('sessions').where({ kind: 'compat' })).toEqual([])
    expect((await passwordLogin(postern, 'alice', { password: other })).status).toBe(200)
  })

  it('a lock gives no session', async () => {
    postern = await startPostern()
    const id = await addUser(postern, 'alice')
    const { answer } = await signInDuring(id, () => postern.app.accounts.lock(id, { actor: 'operator' }))
    expect((await answer).body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
    expect(await postern.db('sessions').where({ kind: 'compat' })).toEqual([])
  })
})

describe('overload', () => {
  it('is told in Matrix JSON with 503 and a time to come back', async () => {
    postern = await startPostern({ config: { passwords: { max_concurrent: 1, max_queue: 1 } } })
    await addUser(postern, 'alice')
    const answers = await Promise.all(Array.from({ length: 8 }, () => passwordLogin(postern, 'alice')))
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused.length).toBeGreaterThan(0)
    for (const { body, headers } of refused) {
      expect(body).toMatchObject({ errcode: 'M_UNKNOWN', retry_after_ms: expect.any(Number) })
      expect(headers.get('retry-after')).not.toBeNull()
    }
    expect(answers.some(({ status }) => status === 200)).toBe(true)
  })
})

describe('the door', () => {
  it('answers any origin as Synapse does, and preflights with 204', async () => {
    postern = await startPostern()
    for (const path of ['v3/login', 'r0/logout', 'v1/refresh', 'v3/logout/all', 'v3/login/sso/redirect']) {
      const { status, headers } = await matrix(postern, 'OPTIONS', path, {
        headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
      })
      expect(status, path).toBe(204)
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST, PUT, DELETE, OPTIONS')
      expect(headers.get('access-control-allow-headers')).toBe(
        'X-Requested-With, Content-Type, Authorization, Date',
      )
      expect(headers.get('access-control-allow-credentials')).toBeNull()
    }
    const { headers } = await passwordLogin(postern, 'alice', {}, { origin: 'https://app.example' })
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })

  it('stands at the root although everything else is below a path', async () => {
    postern = await startPostern({ path: 'auth/' })
    expect((await matrix(postern, 'GET', 'v3/login')).status).toBe(200)
    const outside = await fetch(new URL('/auth/_matrix/client/v3/login', postern.url))
    expect(outside.status).toBe(404)
  })

  it('says M_UNRECOGNIZED where there is nothing, and 405 for a wrong method', async () => {
    postern = await startPostern()
    const nothing = await matrix(postern, 'GET', 'v3/nothing')
    expect(nothing.status).toBe(404)
    expect(nothing.body.errcode).toBe('M_UNRECOGNIZED')
    for (const [method, path] of [
      ['PUT', 'v3/login'],
      ['GET', 'v3/logout'],
      ['GET', 'v3/refresh'],
      ['DELETE', 'v3/logout/all'],
      ['PATCH', 'v3/login'],
    ] as const) {
      const { status, body } = await matrix(postern, method, path)
      expect(status, `${method} ${path}`).toBe(405)
      expect(body.errcode).toBe('M_UNRECOGNIZED')
    }
  })

  it('refuses bodies that are no JSON, no object, too large or not storable', async () => {
    postern = await startPostern()
    const rows: [string | Uint8Array, Record<string, string>, number, string][] = [
      ['', {}, 400, 'M_NOT_JSON'],
      ['{', {}, 400, 'M_NOT_JSON'],
      ['type=m.login.password', {}, 400, 'M_NOT_JSON'],
      [Buffer.from('{"type":"\xff"}', 'latin1'), {}, 400, 'M_NOT_JSON'],
      ['{}', { 'content-type': 'text/plain' }, 400, 'M_NOT_JSON'],
      ['{}', { 'content-type': 'application/x-www-form-urlencoded' }, 400, 'M_NOT_JSON'],
      ['[]', {}, 400, 'M_BAD_JSON'],
      ['null', {}, 400, 'M_BAD_JSON'],
      ['"text"', {}, 400, 'M_BAD_JSON'],
      ['{"type":"a\\u0000b"}', {}, 400, 'M_BAD_JSON'],
      ['{"type":"m.login.password","user":"\\ud800","password":"x"}', {}, 400, 'M_BAD_JSON'],
      ['{"__proto__":{"type":"m.login.password"}}', {}, 400, 'M_BAD_JSON'],
      [`{"type":"${'x'.repeat(70_000)}"}`, {}, 413, 'M_TOO_LARGE'],
      ['['.repeat(60_000), {}, 400, 'M_NOT_JSON'],
    ]
    for (const path of ['v3/login', 'v3/refresh']) {
      for (const [body, headers, status, errcode] of rows) {
        const answer = await matrix(postern, 'POST', path, { body, headers })
        const what = `${path} ${body.toString().slice(0, 40)}`
        expect(answer.status, what).toBe(status)
        expect(answer.body.errcode, what).toBe(errcode)
      }
    }
    const deep = `{"type":"m.login.password","x":${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}}`
    expect((await matrix(postern, 'POST', 'v3/login', { body: deep })).status).toBe(400)
  })

  it('needs no content type, as the oldest apps send none', async () => {
    postern = await startPostern()
    await addUser(postern, 'alice')
    const body = Buffer.from(JSON.stringify({ type: 'm.login.password', user: 'alice', password: PASSWORD }))
    const response = await fetch(new URL('/_matrix/client/r0/login', postern.url), { method: 'POST', body })
    expect(response.status).toBe(200)
  })

  it('never lets a token of this API through the OAuth endpoints, nor the other way round', async () => {
    postern = await startPostern()
    await addUser(postern, 'alice')
    const { refresh_token } = await compatSession(postern, 'alice', { refresh_token: true })
    const response = await post(`${postern.url}oauth2/token`, {
      grant_type: 'refresh_token',
      client_id: 'legacy',
      refresh_token,
    })
    expect(response.status).toBe(400)
    expect((await matrix(postern, 'POST', 'v3/refresh', { body: { refresh_token } })).status).toBe(200)
  })
})
