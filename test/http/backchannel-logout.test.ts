import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createAgent } from '../support/agent.ts'
import {
  addUser,
  API,
  deviceScope,
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

const metadata = (more: object = {}) => ({
  client_uri: app.url,
  redirect_uris: [`${app.url}callback`],
  backchannel_logout_uri: `${app.url}backchannel?of=app`,
  backchannel_logout_session_required: true,
  ...more,
})

/** Somebody new who is signed in to the app. */
async function signedIn({ scope = APP, ...more }: { scope?: string; [name: string]: unknown } = {}) {
  const name = `user${users++}`
  const userId = await addUser(postern, name)
  const clientId = await registerClient(postern, metadata(more))
  const tokens = await signInAgain(clientId, name, scope)
  return { name, userId, clientId, ...tokens, sid: decodeJwt(tokens.id_token ?? '').sid as string }
}

function signInAgain(clientId: string, name: string, scope: string, agent = createAgent(postern.url)) {
  const params = { scope, redirect_uri: `${app.url}callback` }
  return obtainTokens(postern, clientId, name, { params, agent })
}

type SignedIn = Awaited<ReturnType<typeof signedIn>>

/** The one notice of a session's end, checked. */
async function theNotice({ clientId, userId, sid }: SignedIn) {
  const [notice] = await app.received(1)
  const payload = await verifyLogoutToken(notice?.token ?? '', { issuer: postern.url, clientId })
  expect(payload).toMatchObject({ sub: userId, sid })
  return { notice, payload }
}

const sessionOf = (tokens: Tokens) => decodeJwt(tokens.id_token ?? '').sid as string

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
