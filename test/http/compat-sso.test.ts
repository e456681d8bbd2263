import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseSsoRedirectUrl, withLoginToken } from '../../src/compat/sso-redirect-url.ts'
import { type Agent, createAgent } from '../support/agent.ts'
import { approveSso, matrix, obtainLoginToken, SSO_TARGET, tokenLogin } from '../support/compat.ts'
import { addUser, introspect } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { takeBackUnclaimedDevices } from '../support/unclaimed-devices.ts'

let postern: TestPostern
let alice: string
let agent: Agent

beforeAll(async () => {
  postern = await startPostern()
  alice = await addUser(postern, 'alice')
  agent = createAgent(postern.url)
})
afterAll(() => postern.close())

const invalid = { errcode: 'M_FORBIDDEN', error: 'Invalid login token' }

describe('the way through the browser', () => {
  it('leads from the app to sign-in, to a page that names where it goes, and back with a token', async () => {
    for (const path of ['v3/login/sso/redirect', 'r0/login/sso/redirect/', 'v3/login/sso/redirect/oidc-x']) {
      const start = await matrix(postern, 'GET', `${path}?redirectUrl=${encodeURIComponent(SSO_TARGET)}`)
      expect(start.status, path).toBe(303)
      expect(start.headers.get('location')).toContain(postern.url)
    }
    const visitor = createAgent(postern.url)
    const page = await visitor.follow(
      await visitor.get(
        `/_matrix/client/v3/login/sso/redirect?redirectUrl=${encodeURIComponent(SSO_TARGET)}`,
      ),
    )
    expect(page.body).toContain('name="password"')
    const target = await approveSso(postern, 'alice', { agent })
    expect(target.href).toMatch(/^https:\/\/app\.example\/\?from=sso&loginToken=[0-9A-Za-z]{32}$/)
  })

  it('names the host, says so where the way is not encrypted, and lets the form go nowhere else', async () => {
    const show = async (redirectUrl: string) =>
      agent.follow(
        await agent.get(`/_matrix/client/v3/login/sso/redirect?${new URLSearchParams({ redirectUrl })}`),
      )
    const web = await show('https://app.example/cb')
    expect(web.body).toContain('app.example')
    expect(web.body).toContain('@alice:localhost.test')
    expect(web.headers.get('content-security-policy')).toContain("form-action 'self' https://app.example;")
    expect(web.body).not.toContain('not encrypted')
    expect((await show('http://app.example/cb')).body).toContain('not encrypted')
    expect((await show('http://localhost:1234/cb')).body).not.toContain('not encrypted')
    const native = await show('element://connect')
    expect(native.body).toContain('(element)')
    expect(native.headers.get('content-security-policy')).toContain("form-action 'self' element:;")
    const deceitful = await show('https://app.example.evil.example/?"><script>alert(1)</script>')
    expect(deceitful.body).not.toContain('<script>alert(1)')
    expect(deceitful.body).toContain('app.example.evil.example')
  })

  it('refuses addresses that are no app, at the door and on the page', async () => {
    for (const redirectUrl of [
      'javascript:alert(1)',
      'JavaScript://app.example/%0aalert(1)',
      'java\tscript:alert(1)',
      ' javascript:alert(1)',
      'data:text/html,x',
      'vbscript:x',
      'blob:https://app.example/x',
      'file:///etc/passwd',
      'about:blank',
      'view-source:https://app.example',
      'https://alice@app.example/',
      'https://app.example\\@evil.example/',
      'https:app.example',
      'https:///app.example',
      'https://app.example;sandbox/',
      'https://app.example,evil.example/',
      'https://*/',
      'https://*.example/',
      '//app.example/',
      '/account',
      'app',
      '',
      `https://app.example/${'x'.repeat(2100)}`,
    ]) {
      const query = new URLSearchParams({ redirectUrl })
      const start = await matrix(postern, 'GET', `v3/login/sso/redirect?${query}`)
      expect(start.status, redirectUrl).toBe(400)
      expect(start.body.errcode).toBe('M_INVALID_PARAM')
      const page = await agent.get(`${postern.url}sso?${query}`)
      expect(page.status, redirectUrl).toBe(400)
      expect(page.location).toBeUndefined()
    }
    const none = await matrix(postern, 'GET', 'v3/login/sso/redirect')
    expect(none.body.errcode).toBe('M_MISSING_PARAM')
    const twice = await matrix(postern, 'GET', 'v3/login/sso/redirect?redirectUrl=a:b&redirectUrl=c:d')
    expect(twice.body.errcode).toBe('M_MISSING_PARAM')
  })

  it('gives nothing to a form that is not ours, nor after a no', async () => {
    const url = `${postern.url}sso?${new URLSearchParams({ redirectUrl: SSO_TARGET })}`
    const forged = await agent.post(url, { action: 'continue', csrf: 'x' })
    expect(forged.status).toBe(403)
    const page = await agent.get(url)
    const cancelled = await agent.submit(page, { action: 'cancel' })
    expect(cancelled.status).toBe(200)
    expect(cancelled.location).toBeUndefined()
    const other = await agent.submit(page, { action: 'switch' })
    expect(other.location).toContain('switch=1')
    expect(await postern.db('login_tokens').where('created_at', '>', postern.clock.now())).toEqual([])
  })

  it('shows the sign-in for action=register too, as nobody can sign up here', async () => {
    const start = await matrix(
      postern,
      'GET',
      'v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fapp.example&action=register&org.matrix.msc3824.action=register',
    )
    expect(start.status).toBe(303)
  })

  it('asks someone who is locked to sign in, and gives them nothing', async () => {
    const id = await addUser(postern, 'held')
    const browser = createAgent(postern.url)
    await approveSso(postern, 'held', { agent: browser })
    const url = `${postern.url}sso?${new URLSearchParams({ redirectUrl: SSO_TARGET })}`
    const page = await browser.get(url)
    await postern.app.accounts.lock(id, { actor: 'operator' })
    const answer = await browser.submit(page, { action: 'continue' })
    expect(answer.location).toContain('/login?')
  })
})

describe('the address that the app gave', () => {
  it('keeps everything but a login token that somebody put there', () => {
    const at = (text: string) => withLoginToken(parseSsoRedirectUrl(text) as URL, 'T')
    expect(at('https://a.example')).toBe('https://a.example/?loginToken=T')
    expect(at('https://a.example/?x=a%20b&y=%2B#/room')).toBe(
      'https://a.example/?x=a%20b&y=%2B&loginToken=T#/room',
    )
    expect(at('https://a.example/?loginToken=evil&x=1')).toBe('https://a.example/?x=1&loginToken=T')
    expect(at('element://connect')).toBe('element://connect?loginToken=T')
    expect(at('io.element:/cb?x=1')).toBe('io.element:/cb?x=1&loginToken=T')
    expect(at('app:cb')).toBe('app:cb?loginToken=T')
  })
})

describe('m.login.token', () => {
  it('makes a session of the person in the browser, with everything that a sign-in may ask for', async () => {
    const token = await obtainLoginToken(postern, 'alice', { agent })
    const { status, body } = await tokenLogin(postern, token, {
      device_id: 'SSODEVICE1',
      initial_device_display_name: 'SSO app',
      refresh_token: true,
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      user_id: '@alice:localhost.test',
      device_id: 'SSODEVICE1',
      refresh_token: expect.stringMatching(/^mcr_/),
    })
    expect((await introspect(postern, String(body.access_token))).body).toMatchObject({
      active: true,
      sub: alice,
    })
  })

  it('is stored as a hash only', async () => {
    const token = await obtainLoginToken(postern, 'alice', { agent })
    const rows = await postern.db.raw(`select t::text from login_tokens t`)
    expect(JSON.stringify(rows.rows)).not.toContain(token)
  })

  it('works within 30 seconds', async () => {
    const token = await obtainLoginToken(postern, 'alice', { agent })
    postern.clock.advance(31)
    const { status, body } = await tokenLogin(postern, token)
    expect(status).toBe(403)
    expect(body).toEqual({ errcode: 'M_FORBIDDEN', error: 'Login token expired' })
  })

  it('ends the session that it made when it comes again, also much later', async () => {
    for (const seconds of [1, 3600]) {
      const token = await obtainLoginToken(postern, 'alice', { agent })
      const { body } = await tokenLogin(postern, token)
      postern.clock.advance(seconds)
      const again = await tokenLogin(postern, token)
      expect(again.status).toBe(403)
      expect(again.body).toEqual(invalid)
      expect((await introspect(postern, String(body.access_token))).body.active).toBe(false)
      expect(postern.homeserver.devices('alice')).not.toContain(body.device_id)
    }
  })

  it('used twenty times at once, gives one session', async () => {
    const token = await obtainLoginToken(postern, 'alice', { agent })
    const answers = await Promise.all(Array.from({ length: 20 }, () => tokenLogin(postern, token)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const { body } of answers.filter(({ status }) => status !== 200)) expect(body).toEqual(invalid)
  })

  it('lets twins that were under way before it was used only lose the race: the session lives', async () => {
    const token = await obtainLoginToken(postern, 'alice', { agent })
    const upserts = () => postern.homeserver.calls.filter(({ name }) => name === 'upsert_device').length
    const before = upserts()
    // Holds the token's row, so that all of them have looked at it before the first can use it up.
    const holder = await postern.db.transaction()
    await holder('login_tokens').forUpdate()
    const answering = Promise.all(Array.from({ length: 5 }, () => tokenLogin(postern, token)))
    await expect.poll(() => upserts() - before).toBe(5)
    await holder.rollback()
    const answers = await answering
    const won = answers.filter(({ status }) => status === 200)
    expect(won).toHaveLength(1)
    expect((await introspect(postern, String(won[0]?.body.access_token))).body.active).toBe(true)

    // The others had made their devices already. What is due in some minutes is made due now.
    const held = async () =>
      (await postern.db('sessions').whereNull('ended_at').whereNotNull('device_id').pluck('device_id')).sort()
    expect(postern.homeserver.devices('alice')).not.toEqual(await held())
    await takeBackUnclaimedDevices(postern.db)
    await expect.poll(() => postern.homeserver.devices('alice'), { timeout: 10_000 }).toEqual(await held())
  })

  it('survives a homeserver that is away', async () => {
    const token = await obtainLoginToken(postern, 'alice', { agent })
    postern.homeserver.trouble({ status: 502 })
    expect((await tokenLogin(postern, token)).status).toBe(503)
    postern.homeserver.recover()
    expect((await tokenLogin(postern, token)).status).toBe(200)
  })

  it('is worth nothing unknown, after the browser was signed out, or for a user who is gone', async () => {
    expect((await tokenLogin(postern, 'x'.repeat(32))).body).toEqual(invalid)
    expect((await tokenLogin(postern, '')).body).toEqual(invalid)

    const browser = createAgent(postern.url)
    const token = await obtainLoginToken(postern, 'alice', { agent: browser })
    await browser.submit(await browser.get(`${postern.url}sign-out`), {})
    expect((await tokenLogin(postern, token)).body).toEqual(invalid)

    const id = await addUser(postern, 'leaver')
    const last = await obtainLoginToken(postern, 'leaver')
    await postern.app.accounts.deactivate(id, { erase: false }, { actor: 'operator' })
    expect((await tokenLogin(postern, last)).body).toEqual(invalid)
  })

  it('of a locked user is answered M_USER_LOCKED and not used up', async () => {
    const id = await addUser(postern, 'paused')
    const token = await obtainLoginToken(postern, 'paused')
    await postern.app.accounts.lock(id, { actor: 'operator' })
    const { status, body } = await tokenLogin(postern, token)
    expect(status).toBe(401)
    expect(body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
    await postern.app.accounts.unlock(id, { actor: 'operator' })
    expect((await tokenLogin(postern, token)).status).toBe(200)
  })

  it('is forgotten a day after it expired', async () => {
    await obtainLoginToken(postern, 'alice', { agent })
    postern.clock.advance(86_400 + 60)
    await postern.app.cleanUp()
    expect(await postern.db('login_tokens')).toEqual([])
  })
})
