import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fromUuid } from '../../src/ids.ts'
import {
  addUser,
  introspect,
  obtainTokens,
  post,
  REDIRECT_URI,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { HOMESERVER_SECRET, startPostern, type TestPostern } from '../support/postern.ts'

const SECRET = 'a-secret-of-the-configured-client'
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  const configured = {
    auth_method: 'client_secret_basic',
    client_secret: SECRET,
    redirect_uris: [REDIRECT_URI],
  }
  postern = await startPostern({
    config: {
      http: { trusted_proxies: ['10.0.0.0/8'] },
      clients: [
        { client_id: 'watcher', client_name: 'Watcher', ...configured, may_introspect: true },
        { client_id: 'web', client_name: 'Web', ...configured },
      ] as never,
    },
  })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const basic = (id: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${SECRET}`).toString('base64')}`,
})
const asClient = async (id: string, token: string) =>
  (await post(`${postern.url}oauth2/introspect`, { token }, basic(id))).json()
const revoke = (form: Record<string, string>) => post(`${postern.url}oauth2/revoke`, form)

test('the homeserver learns who, on which device, with which scopes, and for how many whole seconds', async () => {
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  const { body } = await introspect(postern, access_token)
  expect(body).toMatchObject({
    active: true,
    username: 'alice',
    device_id: 'ABCDEFGHIJ',
    token_type: 'access_token',
  })
  expect(Number.isInteger(body.expires_in)).toBe(true)
  const scopes = String(body.scope).split(' ')
  for (const name of [
    'urn:matrix:client:api:*',
    'urn:matrix:org.matrix.msc2967.client:api:*',
    'urn:matrix:client:device:ABCDEFGHIJ',
    'urn:matrix:org.matrix.msc2967.client:device:ABCDEFGHIJ',
  ]) {
    expect(scopes).toContain(name)
  }
})

test('check 41: without authentication, with a wrong secret, and for public clients there is no answer to read', async () => {
  const { access_token: token } = await obtainTokens(postern, clientId, 'alice')
  const url = `${postern.url}oauth2/introspect`
  const wrong = `Basic ${Buffer.from('watcher:wrong-secret-of-the-client').toString('base64')}`
  for (const answer of [
    await post(url, { token }),
    await post(url, { token, client_id: clientId }),
    await post(url, { token }, { authorization: wrong }),
    await post(url, { token }, { authorization: 'Bearer not-the-secret' }),
  ]) {
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^(?:Basic|Bearer)/)
    expect(answer.headers.get('cache-control')).toContain('no-store')
  }
  for (const value of [token, 'unknown']) {
    const answer = await post(url, { token: value }, { authorization: 'Bearer not-the-secret' })
    expect(await answer.json()).toMatchObject({ error: 'invalid_client' })
  }
})

test('check 41: nothing but the whole secret of the homeserver opens the door', async () => {
  const { access_token: token } = await obtainTokens(postern, clientId, 'alice')
  const url = `${postern.url}oauth2/introspect`
  const secret = postern.config.matrix.secret ?? ''
  const ask = async (presented: string) =>
    (await post(url, { token }, { authorization: `Bearer ${presented}` })).status
  expect(await ask(secret)).toBe(200)
  for (const other of [
    ...[secret.slice(0, -1), secret.slice(1), secret.toUpperCase(), `${secret}x`, `${secret}\xe9`],
    ...[`${secret}${secret}`, 'x'.repeat(secret.length), 'x'.repeat(8000)],
  ])
    expect(await ask(other), other).toBe(401)
})

test('the homeserver may write the form as it likes, with one token in it', async () => {
  const { access_token: token } = await obtainTokens(postern, clientId, 'alice')
  const url = `${postern.url}oauth2/introspect`
  const authorization = `Bearer ${postern.config.matrix.secret}`
  const encoded = [...token].map((one) => `%${one.charCodeAt(0).toString(16)}`).join('')
  for (const form of [
    `token=${token}`,
    `token=${token}&token_type_hint=access_token`,
    `token_type_hint=access_token&token=${token}`,
    `token=${encoded}&unknown=%00`,
  ]) {
    const answer = await post(url, form, { authorization })
    expect(await answer.json(), form).toMatchObject({ active: true })
  }
  for (const form of [`token=${token}&token=${token}`, `token_type_hint=access_token`, '', 'token'])
    expect((await post(url, form, { authorization })).status, form).toBe(form === 'token' ? 200 : 400)
})

test('a client without the operator’s leave sees its own tokens only', async () => {
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  expect(await asClient('watcher', access_token)).toMatchObject({ active: true, username: 'alice' })
  expect(await asClient('web', access_token)).toEqual({ active: false })
})

test('check 42: unknown, expired, revoked and superseded tokens are all the same nothing', async () => {
  const expired = await obtainTokens(postern, clientId, 'alice')
  postern.clock.advance(301)
  const revoked = await obtainTokens(postern, clientId, 'alice')
  await revoke({ token: revoked.access_token })
  const superseded = await obtainTokens(postern, clientId, 'alice')
  await refresh(postern, clientId, superseded.refresh_token)
  const tokens = [expired, revoked, superseded].map(({ access_token }) => access_token)
  for (const token of [...tokens, 'mat_unknown', 'x', '🙂', superseded.id_token ?? '']) {
    const { status, body } = await introspect(postern, token)
    expect({ status, body }).toEqual({ status: 200, body: { active: false } })
  }
})

test('check 44: a wrong hint changes nothing', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  for (const [token, hint] of [
    [tokens.access_token, 'refresh_token'],
    [tokens.refresh_token, 'access_token'],
    [tokens.access_token, 'nonsense'],
  ]) {
    const form = { token: token ?? '', token_type_hint: hint ?? '' }
    const answer = await post(`${postern.url}oauth2/introspect`, form, basic('watcher'))
    expect(await answer.json()).toMatchObject({ active: true })
  }
})

test('check 45: an unknown token is revoked with 200, too', async () => {
  expect((await revoke({ token: 'mat_unknown' })).status).toBe(200)
  expect((await revoke({ token: '🙂' })).status).toBe(200)
  expect((await revoke({})).status).toBe(400)
})

test('check 45: either token, with a wrong client_id or none, and a superseded one, ends the session and its device', async () => {
  const choose: ((first: Tokens, second: Tokens) => Record<string, string>)[] = [
    (_, second) => ({ token: second.refresh_token }),
    (_, second) => ({ token: second.access_token, client_id: 'somebody-else' }),
    (_, second) => ({ token: second.access_token, token_type_hint: 'refresh_token' }),
    (first) => ({ token: first.access_token }),
    (first) => ({ token: first.refresh_token }),
  ]
  for (const form of choose) {
    const first = await obtainTokens(postern, clientId, 'alice')
    const second = (await (await refresh(postern, clientId, first.refresh_token)).json()) as Tokens
    expect(postern.homeserver.devices('alice')).toContain('ABCDEFGHIJ')
    expect((await revoke(form(first, second))).status).toBe(200)
    expect((await introspect(postern, second.access_token)).body).toEqual({ active: false })
    expect((await refresh(postern, clientId, second.refresh_token)).status).toBe(400)
    expect(postern.homeserver.devices('alice')).not.toContain('ABCDEFGHIJ')
  }
})

test('check 46: userinfo takes an access token with openid, in the header or the form, and nothing else', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const url = `${postern.url}oauth2/userinfo`
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  expect((await fetch(url, bearer(tokens.access_token))).status).toBe(200)
  expect((await post(url, { access_token: tokens.access_token })).status).toBe(200)
  for (const token of [tokens.refresh_token, tokens.id_token ?? '', 'x']) {
    const answer = await fetch(url, bearer(token))
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toContain('invalid_token')
  }
  expect((await fetch(url)).status).toBe(401)
  const query = await fetch(`${url}?access_token=${tokens.access_token}`)
  expect(query.status).toBe(400)
  expect(query.headers.get('www-authenticate')).toContain('invalid_request')
  const scope = 'urn:matrix:client:api:* urn:matrix:client:device:NOOPENID00'
  const plain = await obtainTokens(postern, clientId, 'alice', { params: { scope } })
  expect((await fetch(url, bearer(plain.access_token))).status).toBe(403)
})

test('check 52: a forwarded address from a peer that is not trusted counts for nothing', async () => {
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  await post(`${postern.url}oauth2/revoke`, { token: access_token }, { 'x-forwarded-for': '203.0.113.9' })
  const rows = await postern.db('audit_events').whereNotNull('ip').distinct('ip')
  expect(rows.map(({ ip }) => ip)).not.toContain('203.0.113.9')
})

test('check 43: right after its session ends a token is inactive to everybody', async () => {
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  const [{ id }] = await postern.db('users').where({ localpart: 'alice' }).select('id')
  const [session] = await postern
    .db('sessions')
    .where({ user_id: id, device_id: 'ABCDEFGHIJ' })
    .whereNull('ended_at')
  expect(await postern.app.sessions.end(fromUuid(session.id), 'signed_out', { actor: 'user' })).toBe(true)
  expect((await introspect(postern, access_token)).body).toEqual({ active: false })
  expect(await asClient('watcher', access_token)).toEqual({ active: false })
})

test('check 43: after a lock the homeserver gets 503, also for expired and superseded tokens, and others get nothing', async () => {
  const id = await addUser(postern, 'held')
  const first = await obtainTokens(postern, clientId, 'held')
  const second = (await (await refresh(postern, clientId, first.refresh_token)).json()) as Tokens
  await postern.app.accounts.lock(id, { actor: 'operator' })
  const userinfo = () =>
    fetch(`${postern.url}oauth2/userinfo`, { headers: { authorization: `Bearer ${second.access_token}` } })
  expect((await userinfo()).status).toBe(503)
  for (const wait of [0, 600]) {
    postern.clock.advance(wait)
    for (const token of [first.access_token, second.access_token]) {
      const { status, headers, body } = await introspect(postern, token)
      expect(status).toBe(503)
      expect(headers.get('retry-after')).toBeTruthy()
      expect(body).not.toHaveProperty('active')
      expect(await asClient('watcher', token)).toEqual({ active: false })
    }
  }
  await postern.app.accounts.unlock(id, { actor: 'operator' })
  const third = (await (await refresh(postern, clientId, second.refresh_token)).json()) as Tokens
  expect((await introspect(postern, third.access_token)).body).toMatchObject({ active: true })
  expect((await introspect(postern, first.access_token)).body).toEqual({ active: false })
})

test('a homeserver that hangs up in the middle of its question disturbs nobody', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  const socket = connect(Number(new URL(postern.url).port), 'localhost')
  await once(socket, 'connect')
  const head = `POST /oauth2/introspect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${HOMESERVER_SECRET}\r\n`
  // "100-continue" is answered when the request has been seen: no guess how long that takes.
  socket.write(`${head}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n`)
  await once(socket, 'data')
  socket.write('token=abc')
  socket.resetAndDestroy()
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  expect((await introspect(postern, access_token)).body).toMatchObject({ active: true })
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

test('userinfo reads the header whatever else is sent', async () => {
  const { access_token } = await obtainTokens(postern, clientId, 'alice')
  const answer = await fetch(`${postern.url}oauth2/userinfo`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
    body: '{}',
  })
  expect(await answer.json()).toMatchObject({ username: 'alice' })
})
