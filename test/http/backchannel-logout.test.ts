import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { fromUuid, toUuid } from '../../src/ids.ts'
import { createAgent } from '../support/agent.ts'
import { runCommand } from '../support/command.ts'
import {
  API,
  addUser,
  authorize,
  deviceScope,
  exchange,
  introspect,
  obtainTokens,
  PASSWORD,
  post,
  refresh,
  registerClient,
  type Tokens,
} from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { type RelyingParty, startRelyingParty, verifyLogoutToken } from '../support/relying-party.ts'

// OpenID Connect Back-Channel Logout 1.0.

const APP = `openid ${API} ${deviceScope('ABCDEFGHIJ')}`
const WEBSITE = 'openid'

// Sign-ins, and notices that are looked for once a second: many tests have several.
vi.setConfig({ testTimeout: 60_000 })

let postern: TestPostern
let app: RelyingParty
let users = 0

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern.close())
beforeEach(async () => {
  app = await startRelyingParty()
})
afterEach(() => app.stop())

const metadata = (more: object = {}, at = app) => ({
  client_uri: at.url,
  redirect_uris: [`${at.url}callback`],
  backchannel_logout_uri: `${at.url}backchannel?of=app`,
  backchannel_logout_session_required: true,
  ...more,
})

/** Somebody new who is signed in to the app, which registers with `more`. */
async function signedIn({ scope = APP, at = app, ...more }: Partial<Ask> & { [name: string]: unknown } = {}) {
  const name = `user${users++}`
  const userId = await addUser(postern, name)
  const clientId = await registerClient(postern, metadata(more, at))
  const tokens = await signInAgain(clientId, name, scope, { at })
  return { name, userId, clientId, ...tokens, sid: sessionOf(tokens) }
}

interface Ask {
  scope: string
  at: RelyingParty
}

function signInAgain(
  clientId: string,
  name: string,
  scope: string,
  { agent = createAgent(postern.url), at = app } = {},
) {
  const params = { scope, redirect_uri: `${at.url}callback` }
  return obtainTokens(postern, clientId, name, { params, agent })
}

const sessionOf = (tokens: Tokens) => decodeJwt(tokens.id_token ?? '').sid as string

type SignedIn = Awaited<ReturnType<typeof signedIn>>

/** The one notice of a session's end, checked. */
async function theNotice({ clientId, userId, sid }: SignedIn) {
  const [notice] = await app.received(1)
  const payload = await verifyLogoutToken(notice?.token ?? '', { issuer: postern.url, clientId })
  expect(payload).toMatchObject({ sub: userId, sid })
  return { notice, payload }
}

describe('an app that registered for it is told', () => {
  it('that a person signed it out on the account page', async () => {
    const who = await signedIn()
    const page = await who.agent.get(`${postern.url}account/sessions/${who.sid}/end`)
    await who.agent.submit(page, {})
    const { notice } = await theNotice(who)
    expect(notice).toMatchObject({
      path: '/backchannel?of=app',
      contentType: 'application/x-www-form-urlencoded',
    })
    expect((await introspect(postern, who.access_token)).body).toEqual({ active: false })
  })

  it('that its own token was revoked', async () => {
    const who = await signedIn()
    await post(`${postern.url}oauth2/revoke`, { token: who.refresh_token, client_id: who.clientId })
    await theNotice(who)
  })

  it('that the account was deactivated', async () => {
    const who = await signedIn()
    await postern.app.accounts.deactivate(who.userId, { erase: true }, { actor: 'operator' })
    await theNotice(who)
  })

  it('that the password was set anew and everything signed out', async () => {
    const who = await signedIn()
    const everything = { endSessions: true }
    await postern.app.accounts.setPassword(who.userId, `${PASSWORD} 2`, everything, { actor: 'operator' })
    await theNotice(who)
  })

  it('that a person changed the password and signed all else out', async () => {
    const who = await signedIn()
    const page = await who.agent.get(`${postern.url}account/password`)
    const next = `${PASSWORD} three`
    await who.agent.submit(page, {
      current_password: PASSWORD,
      new_password: next,
      new_password_again: next,
      end_others: 'on',
    })
    await theNotice(who)
  })

  it('that a refresh token was replayed', async () => {
    const who = await signedIn()
    const second = (await (await refresh(postern, who.clientId, who.refresh_token)).json()) as Tokens
    await refresh(postern, who.clientId, second.refresh_token)
    postern.clock.advance(60)
    expect((await refresh(postern, who.clientId, who.refresh_token)).status).toBe(400)
    await theNotice(who)
  })

  it('that its code came a second time', async () => {
    const name = `user${users++}`
    const userId = await addUser(postern, name)
    const clientId = await registerClient(postern, metadata())
    const params = { scope: APP, redirect_uri: `${app.url}callback` }
    const { code, request } = await authorize(postern, clientId, name, { params })
    const redeem = () =>
      exchange(postern, clientId, code, request.verifier, { redirect_uri: params.redirect_uri })
    const tokens = (await (await redeem()).json()) as Tokens
    postern.clock.advance(30)
    expect((await redeem()).status).toBe(400)
    const [notice] = await app.received(1)
    const payload = await verifyLogoutToken(notice?.token ?? '', { issuer: postern.url, clientId })
    expect(payload).toMatchObject({ sub: userId, sid: sessionOf(tokens) })
  })

  it('that its time was over', async () => {
    const who = await signedIn()
    const row = postern.db('sessions').where({ id: toUuid(who.sid) })
    await row.update({ expires_at: new Date(postern.clock.now().getTime() - 1000) })
    await postern.app.cleanUp()
    await theNotice(who)
  })

  it('that an operator deactivated the account by a command, beside the server', async () => {
    const who = await signedIn()
    const command = ['--config', postern.file, 'user', 'deactivate', who.name]
    const { code, err } = await runCommand(command, { cwd: '/' })
    expect(code, err).toBe(0)
    await theNotice(who)
  })

  it('that another sign-in took its device, with the sid of the older session alone', async () => {
    const who = await signedIn()
    const again = await signInAgain(who.clientId, who.name, APP)
    expect(sessionOf(again)).not.toBe(who.sid)
    await theNotice(who)
    expect((await introspect(postern, again.access_token)).body).toMatchObject({ active: true })
  })

  it('with the algorithm of its id_tokens', async () => {
    const who = await signedIn({ id_token_signed_response_alg: 'ES256' })
    await post(`${postern.url}oauth2/revoke`, { token: who.refresh_token, client_id: who.clientId })
    const [notice] = await app.received(1)
    const expected = { issuer: postern.url, clientId: who.clientId, algorithm: 'ES256' }
    expect(await verifyLogoutToken(notice?.token ?? '', expected)).toMatchObject({ sid: who.sid })
  })
})

describe('a browser that signs out', () => {
  /** Signed in to the app by the same browser twice: as a website, and as a Matrix app with a device. */
  async function both() {
    const site = await signedIn({ scope: WEBSITE })
    const matrix = await signInAgain(site.clientId, site.name, APP, { agent: site.agent })
    return { site, matrix }
  }

  async function isOnlyTheSite({ site, matrix }: Awaited<ReturnType<typeof both>>): Promise<void> {
    await theNotice(site)
    expect((await refresh(postern, site.clientId, site.refresh_token)).status).toBe(400)
    expect((await introspect(postern, matrix.access_token)).body).toMatchObject({ active: true })
    expect(app.notices).toHaveLength(1)
  }

  it('at the wish of an app signs out of websites too, never of Matrix apps, which keep their keys', async () => {
    const signedInTo = await both()
    const { agent, id_token = '' } = signedInTo.site
    const query = new URLSearchParams({ id_token_hint: id_token })
    await agent.submit(await agent.get(`${postern.url}oauth2/logout?${query}`), {})
    await isOnlyTheSite(signedInTo)
  })

  it('because another one signed it out does the same', async () => {
    const signedInTo = await both()
    const { name, clientId, userId } = signedInTo.site
    const [browser] = await postern
      .db('browser_sessions')
      .where({ user_id: toUuid(userId) })
      .select('id')
    const { agent } = await signInAgain(clientId, name, `openid ${API} ${deviceScope('KLMNOPQRST')}`)
    const page = await agent.get(`${postern.url}account`)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    await agent.post(`${postern.url}account/browsers/${fromUuid(browser.id)}/end`, { csrf })
    await isOnlyTheSite(signedInTo)
  })

  it('ends nothing at websites that did not ask to be told, or that another browser is signed in to', async () => {
    const silent = await signedIn({ scope: WEBSITE, backchannel_logout_uri: undefined })
    const elsewhere = await signInAgain(silent.clientId, silent.name, WEBSITE)
    const query = new URLSearchParams({ id_token_hint: silent.id_token ?? '' })
    await silent.agent.submit(await silent.agent.get(`${postern.url}oauth2/logout?${query}`), {})
    for (const tokens of [silent, elsewhere]) {
      expect((await introspect(postern, tokens.access_token)).body).toMatchObject({ active: true })
    }
    expect(await jobs(silent.sid)).toEqual([])
  })
})

describe('check 54: whom an app may make this service call', () => {
  const HERE = 'http://127.0.0.1'
  let strict: TestPostern

  beforeAll(async () => {
    strict = await startPostern({ config: { client_registration: { allow_insecure_uris: false } } })
  })
  afterAll(() => strict.close())

  /** A dynamic client whose address became this one: registration alone must not be what keeps it away. */
  async function endedAt(uri: string): Promise<string> {
    const name = `user${users++}`
    await addUser(strict, name)
    const clientId = await registerClient(strict, { backchannel_logout_uri: 'https://app.example/logout' })
    const tokens = await obtainTokens(strict, clientId, name)
    const value = JSON.stringify(uri)
    await strict.db.raw(
      `update clients set metadata = jsonb_set(metadata, '{backchannel_logout_uri}', ?::jsonb) where client_id = ?`,
      [value, clientId],
    )
    await post(`${strict.url}oauth2/revoke`, { token: tokens.refresh_token, client_id: clientId })
    return sessionOf(tokens)
  }

  it('is nobody at a private address', async () => {
    const { port } = new URL(app.url)
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254']) {
      const sid = await endedAt(`http://${host}:${port}/`)
      await eventually(() => failures(sid, strict)).toEqual([{ reason: 'the address is not public' }])
    }
    expect(app.notices).toEqual([])
  })

  it.each([
    `${HERE}:8008/_synapse`,
    'http://app.example/logout',
    'https://evil.example/logout',
    'https://user:pass@app.example/logout',
    'https://app.example/logout#x',
    'https://localhost/logout',
    'javascript:alert(1)',
    17,
  ])('is refused at registration: %s', async (backchannel_logout_uri) => {
    await expect(registerClient(strict, { backchannel_logout_uri })).rejects.toThrow(/backchannel_logout_uri/)
  })

  it.each(['10.0.0.1', '192.168.1.1', '[fd00::1]', '[::ffff:10.0.0.1]', '169.254.169.254'])(
    'is refused at registration: everything at %s',
    async (host) => {
      const uris = { client_uri: `https://${host}/`, redirect_uris: [`https://${host}/callback`] }
      const wish = { ...uris, backchannel_logout_uri: `https://${host}/logout` }
      await expect(registerClient(strict, wish)).rejects.toThrow(/private address/)
    },
  )
})

describe('nobody is told', () => {
  it('of a refresh, of a locked account, or a second time', async () => {
    const who = await signedIn()
    const next = (await (await refresh(postern, who.clientId, who.refresh_token)).json()) as Tokens
    await postern.app.accounts.lock(who.userId, { actor: 'operator' })
    await postern.app.accounts.unlock(who.userId, { actor: 'operator' })
    expect(await jobs(who.sid)).toEqual([])
    for (let again = 0; again < 2; again++) {
      await post(`${postern.url}oauth2/revoke`, { token: next.refresh_token, client_id: who.clientId })
    }
    expect(await jobs(who.sid)).toHaveLength(1)
  })

  it('of a session without an id_token', async () => {
    const name = `user${users++}`
    await addUser(postern, name)
    const clientId = await registerClient(postern, metadata())
    const tokens = await signInAgain(clientId, name, `${API} ${deviceScope('ABCDEFGHIJ')}`)
    expect(tokens).not.toHaveProperty('id_token')
    const before = await postern.db('pgboss.job').where({ name: 'client.logout' })
    await post(`${postern.url}oauth2/revoke`, { token: tokens.refresh_token, client_id: clientId })
    expect(await postern.db('pgboss.job').where({ name: 'client.logout' })).toHaveLength(before.length)
  })
})

/** Jobs are looked for each second, and a busy machine takes longer. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 15_000 })

/** What is queued about a session. */
async function jobs(sessionId: string) {
  const rows = await postern.db('pgboss.job').where({ name: 'client.logout' })
  return rows.filter(({ data }) => data.sessionId === sessionId)
}

/** Retries wait by the database's own clock: this passes that time. */
const retryNow = () =>
  postern.db.raw(`update pgboss.job set start_after = now() where name = 'client.logout' and state = 'retry'`)

async function untilJob(sessionId: string, is: { state: string; retry_count?: number }): Promise<void> {
  await eventually(async () => (await jobs(sessionId))[0]).toMatchObject(is)
}

const untilRetrying = (sessionId: string) => untilJob(sessionId, { state: 'retry' })

async function failures(sessionId: string, at = postern): Promise<Record<string, unknown>[]> {
  const rows = await at.db('audit_events').where({ event: 'client.logout_failed' })
  return rows.filter((row) => fromUuid(row.session_id) === sessionId).map(({ details }) => details)
}

const revoke = (who: SignedIn) =>
  post(`${postern.url}oauth2/revoke`, { token: who.refresh_token, client_id: who.clientId })

describe('an app that does not take the notice', () => {
  it('gets it again when it failed, with a token of its own for each try', async () => {
    const who = await signedIn()
    app.answer(503, 500)
    await revoke(who)
    for (let tries = 1; tries < 3; tries++) {
      await app.received(tries)
      await untilRetrying(who.sid)
      await retryNow()
    }
    const notices = await app.received(3)
    const expected = { issuer: postern.url, clientId: who.clientId }
    const tokens = await Promise.all(notices.map(({ token }) => verifyLogoutToken(token, expected)))
    expect(new Set(tokens.map(({ jti }) => jti)).size).toBe(3)
    for (const token of tokens) expect(token).toMatchObject({ sub: who.userId, sid: who.sid })
    await untilJob(who.sid, { state: 'completed' })
    expect(await failures(who.sid)).toEqual([])
  })

  it('does not get it again when it refused or sent elsewhere, and the audit table says so', async () => {
    for (const [answer, reason] of [
      [400, 'answered 400'],
      [{ redirect: `${app.url}elsewhere` }, 'answered 302'],
    ] as const) {
      const who = await signedIn()
      app.answer(answer)
      await revoke(who)
      await eventually(() => failures(who.sid)).toEqual([{ reason }])
      await untilJob(who.sid, { state: 'completed', retry_count: 0 })
    }
    expect(app.notices.map(({ path }) => path)).toEqual(['/backchannel?of=app', '/backchannel?of=app'])
  })

  it('is given up six hours after the end', async () => {
    const who = await signedIn()
    app.answer(500, 500, 500)
    await revoke(who)
    await app.received(1)
    await untilRetrying(who.sid)
    postern.clock.advance(6 * 3600 - 60)
    await retryNow()
    await app.received(2)
    await untilRetrying(who.sid)
    expect(await failures(who.sid)).toEqual([])
    postern.clock.advance(120)
    await retryNow()
    await eventually(() => failures(who.sid)).toEqual([{ reason: 'answered 500' }])
    await untilJob(who.sid, { state: 'completed' })
  })

  it('holds up neither other apps nor the homeserver', async () => {
    const slow = await startRelyingParty()
    // Each is waited for two and a half seconds, one after the other: longer than all else here takes.
    const held: SignedIn[] = []
    for (let n = 0; n < 8; n++) held.push(await signedIn({ at: slow }))
    slow.answer(...held.map(() => 'hang' as const))
    const other = await signedIn()
    await Promise.all(held.map(revoke))
    await slow.received(1)
    await revoke(other)
    await theNotice(other)
    await postern.app.accounts.lock(other.userId, { actor: 'operator' })
    await eventually(() => postern.homeserver.user(other.name)?.locked).toBe(true)
    expect(slow.notices.length).toBeLessThan(held.length)
    // The second of the slow app waits for the first.
    await slow.received(2)
    expect(slow.mostAtOnce()).toBe(1)
    await slow.stop()
  })
})

describe('what is kept and shown', () => {
  it('is the ID of the session: neither the queue nor the log has a token', async () => {
    const who = await signedIn()
    app.answer(500)
    await revoke(who)
    await app.received(1)
    await untilRetrying(who.sid)
    await retryNow()
    const [{ token = '' } = {}] = await app.received(2)
    expect((await jobs(who.sid))[0]?.data).toEqual({ sessionId: who.sid })
    const { rows } = await postern.db.raw('select job::text as row from pgboss.job')
    const signatures = app.notices.map((notice) => notice.token.split('.')[2] ?? '')
    expect(token).not.toBe('')
    for (const text of [...rows.map(({ row }: { row: string }) => row), ...postern.logged]) {
      for (const signature of signatures) expect(text).not.toContain(signature)
    }
  })

  it('is told in the metadata, and kept from the registration', async () => {
    const url = `${postern.url}.well-known/openid-configuration`
    expect(await (await fetch(url)).json()).toMatchObject({
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
    })
    const response = await fetch(`${postern.url}oauth2/registration`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(metadata({ token_endpoint_auth_method: 'none' })),
    })
    expect(await response.json()).toMatchObject({
      backchannel_logout_uri: `${app.url}backchannel?of=app`,
      backchannel_logout_session_required: true,
    })
    const wrong = metadata({ backchannel_logout_session_required: 'yes' })
    await expect(registerClient(postern, wrong)).rejects.toThrow(/must be true or false/)
  })

  it('sends no cookie, no credential and no referrer to the app', async () => {
    const who = await signedIn()
    await revoke(who)
    const [notice] = await app.received(1)
    expect(Object.keys(notice?.headers ?? {}).sort()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'host',
    ])
  })
})
