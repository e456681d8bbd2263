import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { latestSession, openAccount } from '../support/account.ts'
import { type Agent, type Answer, createAgent, readForm } from '../support/agent.ts'
import { addUser, introspect, obtainTokens, PASSWORD, registerClient, signIn } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern()
  await addUser(postern, 'alice')
  await addUser(postern, 'bob')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const signedIn = (username: string, agent?: Agent) => openAccount(postern, username, agent)
const sessionOf = (username: string) => latestSession(postern, username)

test('whoever is not signed in comes to the account page by way of the sign-in', async () => {
  const agent = createAgent(postern.url)
  const answer = await agent.get(`${postern.url}account`)
  expect(answer.status).toBe(303)
  expect(answer.location).toContain('/login?next=')
  await signedIn('alice', agent)
})

test('an app session is listed, shown and ended, at the homeserver too', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const agent = await signedIn('alice')
  const id = await sessionOf('alice')
  const detail = await agent.get(`${postern.url}account/sessions/${id}`)
  for (const words of ['Test app', 'ABCDEFGHIJ']) expect(detail.body).toContain(words)
  const confirm = await agent.get(`${postern.url}account/sessions/${id}/end`)
  const after = await agent.follow(await agent.submit(confirm, {}))
  expect(after.url).toContain('notice=session_ended')
  // check 43: at once, not when some cache lets go.
  expect((await introspect(postern, tokens.access_token)).body).toEqual({ active: false })
  expect(postern.homeserver.devices('alice')).not.toContain('ABCDEFGHIJ')
})

test('check 43: a session that its person ended is inactive at once', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const agent = await signedIn('alice')
  const confirm = await agent.get(`${postern.url}account/sessions/${await sessionOf('alice')}/end`)
  await agent.submit(confirm, {})
  expect((await introspect(postern, tokens.access_token)).body).toEqual({ active: false })
})

test("check 71: someone else's session is not there", async () => {
  await obtainTokens(postern, clientId, 'alice')
  const id = await sessionOf('alice')
  const bob = await signedIn('bob')
  expect((await bob.get(`${postern.url}account/sessions/${id}`)).status).toBe(404)
  expect((await bob.get(`${postern.url}account/sessions/${id}/end`)).status).toBe(404)
  const own = await bob.get(`${postern.url}sign-out`)
  const { hidden } = readForm(own)
  expect((await bob.post(`${postern.url}account/sessions/${id}/end`, hidden)).status).toBe(404)
  expect(await sessionOf('alice')).toBe(id)
})

describe('what an app asks for (MSC4191)', () => {
  test.each([
    ['org.matrix.profile', '/account'],
    ['org.matrix.devices_list', '/account'],
    ['org.matrix.sessions_list', '/account'],
    ['profile', '/account'],
    ['sessions_list', '/account'],
    ['org.matrix.device_view', '/account'],
    ['nonsense', '/account'],
    ['org.matrix.cross_signing_reset', '/account/cross-signing-reset'],
  ])('%s leads to %s', async (action, path) => {
    const agent = await signedIn('alice')
    const page = await agent.follow(await agent.get(`${postern.url}account?action=${action}`))
    expect(page.status).toBe(200)
    expect(new URL(page.url).pathname).toBe(path)
  })

  test.each([
    ['org.matrix.device_view', ''],
    ['org.matrix.session_view', ''],
    ['org.matrix.device_delete', '/end'],
    ['org.matrix.session_end', '/end'],
    ['session_view', ''],
    ['session_end', '/end'],
  ])('%s leads to the session of that device', async (action, suffix) => {
    await obtainTokens(postern, clientId, 'alice')
    const id = await sessionOf('alice')
    const agent = await signedIn('alice')
    const url = `${postern.url}account?action=${action}&device_id=ABCDEFGHIJ`
    expect((await agent.get(url)).location).toBe(`${postern.url}account/sessions/${id}${suffix}`)
  })
})

test('what an app asks for is kept through the sign-in', async () => {
  await obtainTokens(postern, clientId, 'alice')
  const agent = createAgent(postern.url)
  const url = `${postern.url}account?action=org.matrix.device_view&device_id=ABCDEFGHIJ`
  const page = await signIn(agent, await agent.follow(await agent.get(url)), 'alice')
  expect(page.url).toBe(`${postern.url}account/sessions/${await sessionOf('alice')}`)
})

describe('the password', () => {
  async function change(agent: Agent, fields: Record<string, string>): Promise<Answer> {
    return agent.submit(await agent.get(`${postern.url}account/password`), fields)
  }

  test('is changed with the present one; the cookie is new and the old one is dead (checks 64 and 66)', async () => {
    await addUser(postern, 'carol')
    const tokens = await obtainTokens(postern, clientId, 'carol')
    const agent = await signedIn('carol')
    const elsewhere = await signedIn('carol')
    const cookie = [...agent.cookies].find(([name]) => name.includes('session'))?.[1].value
    const next = 'another long passphrase'
    const fields = {
      current_password: PASSWORD,
      new_password: next,
      new_password_again: next,
      end_others: 'on',
    }
    const answer = await change(agent, fields)
    expect(answer.location).toContain('notice=password_changed_others_ended')
    expect((await agent.follow(answer)).status).toBe(200)
    const replay = await fetch(`${postern.url}account`, {
      headers: { cookie: `postern_session=${cookie}` },
      redirect: 'manual',
    })
    expect(replay.headers.get('location')).toContain('/login')
    expect((await elsewhere.get(`${postern.url}account`)).location).toContain('/login')
    expect((await introspect(postern, tokens.access_token)).body).toEqual({ active: false })
  })

  test.each([
    [
      {
        current_password: 'wrong one here',
        new_password: 'long enough here',
        new_password_again: 'long enough here',
      },
      'current password',
    ],
    [{ current_password: PASSWORD, new_password: 'short', new_password_again: 'short' }, 'at least'],
    [
      { current_password: PASSWORD, new_password: 'long enough here', new_password_again: 'something else' },
      'both times',
    ],
    [
      { current_password: '', new_password: 'long enough here', new_password_again: 'long enough here' },
      'Enter your password',
    ],
  ])('is refused with a word beside the field: %o', async (fields, words) => {
    const agent = await signedIn('bob')
    const page = await change(agent, fields)
    expect(page.status).toBe(400)
    expect(page.body).toContain(words)
    expect(page.body).toMatch(/<title>Error: /)
    await signedIn('bob')
  })
})

describe('the reset of the cross-signing keys', () => {
  test('is allowed at once for somebody whom the homeserver has not heard of yet', async () => {
    postern.homeserver.trouble({ status: 503 }, 'provision_user')
    await addUser(postern, 'brandnew')
    const agent = await openAccount(postern, 'brandnew')
    const page = await agent.get(`${postern.url}account/cross-signing-reset`)
    postern.homeserver.recover()
    await postern.db('pgboss.job').where({ name: 'user.sync' }).delete()
    expect((await agent.submit(page, {})).location).toContain('allowed=1')
  })

  test('is allowed at the homeserver after one press of a button', async () => {
    const agent = await signedIn('alice')
    const page = await agent.get(`${postern.url}account/cross-signing-reset`)
    const done = await agent.follow(await agent.submit(page, {}))
    expect(done.body).toContain('10 minutes')
    expect(postern.homeserver.calls.some(({ name }) => name === 'allow_cross_signing_reset')).toBe(true)
  })

  test('asks for the password again when the last time was a while ago', async () => {
    const agent = await signedIn('alice')
    postern.clock.advance(16 * 60)
    const page = await agent.get(`${postern.url}account/cross-signing-reset`)
    expect(page.body).toContain('name="password"')
    const wrong = await agent.submit(page, { password: 'not this one' })
    expect(wrong.status).toBe(400)
    const right = await agent.follow(await agent.submit(wrong, { password: PASSWORD }))
    expect(right.body).not.toContain('name="password"')
  })

  test('says so when the homeserver is away, and works when it is back', async () => {
    const agent = await signedIn('alice')
    const page = await agent.get(`${postern.url}account/cross-signing-reset`)
    postern.homeserver.trouble({ status: 500 }, 'allow_cross_signing_reset')
    const away = await agent.submit(page, {})
    expect(away.status).toBe(503)
    expect(away.headers.get('retry-after')).toBe('5')
    expect(away.body).toContain('Your homeserver cannot be reached')
    postern.homeserver.recover()
    expect((await agent.submit(away, {})).status).toBe(303)
    const events = await postern.db('audit_events').where({ event: 'cross_signing_reset.allowed' })
    expect(events.length).toBeGreaterThan(0)
  })
})

test('check 64: a planted cookie is not the one that a sign-in gives', async () => {
  const agent = createAgent(postern.url)
  const planted = 'A'.repeat(43)
  agent.cookies.set('postern_session /', { value: planted, path: '/', header: '' })
  await signedIn('alice', agent)
  expect(agent.cookies.get('postern_session /')?.value).not.toBe(planted)
})

test('check 64: a cookie is dead after signing out', async () => {
  const agent = await signedIn('alice')
  const value = agent.cookies.get('postern_session /')?.value
  await agent.submit(await agent.get(`${postern.url}sign-out`), {})
  const replay = await fetch(`${postern.url}account`, {
    headers: { cookie: `postern_session=${value}` },
    redirect: 'manual',
  })
  expect(replay.headers.get('location')).toContain('/login')
})

test.each([
  '//evil.example',
  '/\\evil.example',
  'https:evil.example',
  'https://evil.example/',
  'javascript:alert(1)',
  '%2f%2fevil.example',
  '/%2f%2fevil.example',
  '/%5cevil.example',
])('check 68: next=%s stays here', async (next) => {
  const agent = createAgent(postern.url)
  const page = await agent.get(`${postern.url}login?${new URLSearchParams({ next })}`)
  const answer = await agent.submit(page, { username: 'alice', password: PASSWORD, next })
  expect(answer.location).toBe(`${postern.url}account`)
})
