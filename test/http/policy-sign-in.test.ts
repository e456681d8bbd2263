import { rename } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { toUuid } from '../../src/ids.ts'
import { findUserByLocalpart } from '../../src/users/store.ts'
import { createAgent } from '../support/agent.ts'
import {
  approveSso,
  compatSession,
  matrix,
  obtainLoginToken,
  passwordLogin,
  tokenLogin,
} from '../support/compat.ts'
import { addUser, PASSWORD, signIn } from '../support/oauth.ts'
import { createPolicyFolder, type PolicyFolder, type TestRule } from '../support/policies.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let folder: PolicyFolder

beforeAll(async () => {
  folder = await createPolicyFolder()
  const policies = {
    folder: folder.path,
    networks: { here: ['127.0.0.0/8', '::1/128'], away: ['192.0.2.0/24'] },
  }
  postern = await startPostern({ config: { policies } })
  await addUser(postern, 'alice', { admin: true })
  await addUser(postern, 'bob')
  await addUser(postern, 'carol')
})
beforeEach(async () => {
  for (const on of ['client_registration', 'password_login', 'compat_login']) await folder.rules(on, [])
})
afterAll(async () => {
  await postern.close()
  await folder.remove()
})

async function rules(on: string, list: readonly TestRule[]): Promise<void> {
  await folder.rules(on, list)
  expect(await postern.reload()).toContainEqual({ part: 'policies' })
}

function register(metadata: Record<string, unknown> = {}) {
  return fetch(`${postern.url}oauth2/registration`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'App',
      client_uri: 'https://app.example/',
      redirect_uris: ['https://app.example/callback'],
      token_endpoint_auth_method: 'none',
      ...metadata,
    }),
  })
}

async function signInByPage(user: string, password = PASSWORD) {
  const agent = createAgent(postern.url)
  const page = await agent.get(`${postern.url}login`)
  return { agent, answer: await agent.submit(page, { username: user, password }) }
}

const lastFailure = () =>
  postern.db('audit_events').where({ event: 'sign_in.failed' }).orderBy('id', 'desc').first()

describe('client_registration', () => {
  test('a rule refuses an app with its own message, and others go on', async () => {
    await rules('client_registration', [
      { id: 'bad', when: 'client.host == "bad.example"', outcome: 'deny', message: 'Not from there.' },
    ])
    const bad = { client_uri: 'https://bad.example/', redirect_uris: ['https://bad.example/callback'] }
    const refused = await register(bad)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toEqual({
      error: 'invalid_client_metadata',
      error_description: 'Not from there.',
    })
    expect((await register()).status).toBe(201)
  })

  test('an app that has registered before is refused as well: the rule may be newer', async () => {
    expect((await register()).status).toBe(201)
    await rules('client_registration', [{ id: 'none', outcome: 'deny' }])
    expect((await register()).status).toBe(400)
  })

  test('nobody can be asked for a password or a second factor there: both refuse', async () => {
    for (const outcome of ['reauthenticate', 'require_mfa']) {
      await rules('client_registration', [{ id: 'some', when: 'cidr(request.ip, networks.here)', outcome }])
      expect((await register()).status, outcome).toBe(400)
    }
  })
})

describe('password_login', () => {
  test('a right password is refused on the page with the words of the rule, and signs nobody in', async () => {
    await rules('password_login', [
      {
        id: 'no-bob',
        when: 'user.localpart == "bob"',
        outcome: 'deny',
        message: 'Bob uses <single> sign-on.',
      },
    ])
    const { agent, answer } = await signInByPage('bob')
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('Bob uses &lt;single&gt; sign-on.')
    expect((await agent.get(`${postern.url}account`)).status).toBe(303)
    expect(await lastFailure()).toMatchObject({ details: expect.objectContaining({ reason: 'policy' }) })
    expect((await signInByPage('carol')).answer.status).toBe(303)
  })

  test('a wrong password is told what it always is: rules are no business of strangers', async () => {
    await rules('password_login', [])
    const before = await signInByPage('bob', 'wrong')
    await rules('password_login', [{ id: 'no-bob', when: 'user.localpart == "bob"', outcome: 'deny' }])
    const after = await signInByPage('bob', 'wrong')
    expect(after.answer.status).toBe(before.answer.status)
    expect(after.answer.status).toBe(400)
    const compat = await passwordLogin(postern, 'bob', { password: 'wrong' })
    expect(compat).toMatchObject({ status: 403, body: { error: 'Invalid username/password' } })
  })

  test('a locked account is told as locked, whatever the rules', async () => {
    await rules('password_login', [{ id: 'all', outcome: 'deny', message: 'Nobody.' }])
    await addUser(postern, 'dora')
    await postern.db('users').where({ localpart: 'dora' }).update({ locked_at: postern.clock.now() })
    expect(await passwordLogin(postern, 'dora')).toMatchObject({
      status: 401,
      body: { errcode: 'M_USER_LOCKED' },
    })
  })

  test('older apps get 403 M_FORBIDDEN with the standard words, or those of the rule', async () => {
    const rule = { id: 'older', when: 'login.door == "compat"', outcome: 'deny' }
    await rules('password_login', [rule])
    expect(await passwordLogin(postern, 'bob')).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN', error: 'Login denied by the policy enforced by this service' },
    })
    await rules('password_login', [{ ...rule, message: 'Use another app.' }])
    expect((await passwordLogin(postern, 'bob')).body).toEqual({
      errcode: 'M_FORBIDDEN',
      error: 'Use another app.',
    })
    expect((await signInByPage('bob')).answer.status).toBe(303)
  })

  test('require_mfa denies, and says why', async () => {
    await rules('password_login', [{ id: 'mfa', when: '!user.mfa', outcome: 'require_mfa' }])
    expect((await passwordLogin(postern, 'bob')).body.error).toBe(
      'A second factor is needed, and there are none here yet',
    )
    const { answer } = await signInByPage('bob')
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('does not offer one yet')
  })

  test('reauthenticate is fulfilled by the password that was just given', async () => {
    await rules('password_login', [{ id: 'again', outcome: 'reauthenticate' }])
    expect((await signInByPage('bob')).answer.status).toBe(303)
    expect((await passwordLogin(postern, 'bob')).status).toBe(200)
  })

  test('of several outcomes deny counts, then require_mfa, then reauthenticate', async () => {
    const again = { id: 'again', outcome: 'reauthenticate', message: 'again' }
    const mfa = { id: 'mfa', outcome: 'require_mfa', message: 'second factor' }
    const deny = { id: 'deny', outcome: 'deny', message: 'no' }
    await rules('password_login', [again, mfa, deny])
    expect((await passwordLogin(postern, 'bob')).body.error).toBe('no')
    await rules('password_login', [again, mfa])
    expect((await passwordLogin(postern, 'bob')).body.error).toBe('second factor')
    await rules('password_login', [again])
    expect((await passwordLogin(postern, 'bob')).status).toBe(200)
  })

  test('changing the password asks the rules too', async () => {
    await rules('password_login', [])
    const { agent } = await signInByPage('bob')
    await rules('password_login', [
      {
        id: 'no-change',
        when: 'login.door == "password_change"',
        outcome: 'deny',
        message: 'Not from here.',
      },
    ])
    const next = 'another battery staple'
    const page = await agent.get(`${postern.url}account/password`)
    const fields = { current_password: PASSWORD, new_password: next, new_password_again: next }
    const answer = await agent.submit(page, fields)
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('Not from here.')
    expect((await signInByPage('bob')).answer.status).toBe(303)
  })

  test('a rule that cannot be evaluated denies, and is logged', async () => {
    await rules('password_login', [{ id: 'broken', when: '["a"][7] == "a"', outcome: 'reauthenticate' }])
    expect((await passwordLogin(postern, 'bob')).status).toBe(403)
    const line = postern.logged.find((one) => one.includes('policy.rule_failed'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 50, on: 'password_login', rule: 'broken' })
  })

  test('a person who is signed in stays so: tokens are refreshed and introspected without asking', async () => {
    await rules('password_login', [])
    const session = await compatSession(postern, 'bob', { refresh_token: true })
    await rules('password_login', [{ id: 'all', outcome: 'deny' }])
    await rules('compat_login', [{ id: 'all-of-them', outcome: 'deny' }])
    const refreshed = await matrix(postern, 'POST', 'v3/refresh', {
      body: { refresh_token: session.refresh_token },
    })
    expect(refreshed.status).toBe(200)
  })
})

describe('compat_login', () => {
  test('an older app is refused by its device, its user and its way in', async () => {
    await rules('compat_login', [
      { id: 'name', when: 'device.name.like("(?i)bot")', outcome: 'deny', message: 'No bots.' },
      { id: 'admins', when: 'user.admin && login.type == "password"', outcome: 'deny' },
    ])
    const bot = await passwordLogin(postern, 'bob', { initial_device_display_name: 'My Bot' })
    expect(bot).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN', error: 'No bots.' } })
    expect(await passwordLogin(postern, 'alice')).toMatchObject({
      status: 403,
      body: { error: 'Login denied by the policy enforced by this service' },
    })
    expect((await passwordLogin(postern, 'bob')).status).toBe(200)
    expect((await tokenLogin(postern, await obtainLoginToken(postern, 'alice'))).status).toBe(200)
  })

  test('a right password that a rule refuses an older app for stands in the audit table as refused', async () => {
    await rules('compat_login', [{ id: 'bob', when: 'user.localpart == "bob"', outcome: 'deny' }])
    const bob = await findUserByLocalpart(postern.db, 'bob')
    const lines = () =>
      postern
        .db('audit_events')
        .where({ user_id: toUuid(bob?.id ?? '') })
        .orderBy('id')
        .select('event', 'details')
    const before = await lines()
    expect((await passwordLogin(postern, 'bob')).status).toBe(403)
    const after = await lines()
    expect(after.slice(before.length)).toEqual([
      { event: 'sign_in.failed', details: { method: 'password', reason: 'policy', typed: 'bob' } },
    ])
  })

  test('the page between browser and app refuses with the words of the rule', async () => {
    await rules('compat_login', [
      { id: 'sso', when: 'login.type == "sso"', outcome: 'deny', message: 'Not by browser.' },
    ])
    const agent = createAgent(postern.url)
    const query = new URLSearchParams({ redirectUrl: 'https://app.example/' })
    const page = await agent.follow(await agent.get(`/_matrix/client/v3/login/sso/redirect?${query}`))
    const refused = await signIn(agent, page, 'bob')
    expect(refused.status).toBe(403)
    expect(refused.body).toContain('Not by browser.')
  })

  test('a rule that was made after the page still refuses the login token, and does not use it up', async () => {
    await rules('compat_login', [])
    const token = await obtainLoginToken(postern, 'bob')
    await rules('compat_login', [{ id: 'all', outcome: 'deny' }])
    expect((await tokenLogin(postern, token)).status).toBe(403)
    await rules('compat_login', [])
    expect((await tokenLogin(postern, token)).status).toBe(200)
  })

  test('reauthenticate asks on the page for the password once more, where it was given a while ago', async () => {
    await rules('compat_login', [])
    const { agent } = await signInByPage('bob')
    await rules('compat_login', [{ id: 'fresh', outcome: 'reauthenticate' }])
    await approveSso(postern, 'bob', { agent })
    postern.clock.advance(301)
    const query = new URLSearchParams({ redirectUrl: 'https://app.example/' })
    const asked = await agent.follow(await agent.get(`/_matrix/client/v3/login/sso/redirect?${query}`))
    expect(asked.url).toContain('/reauthenticate?')
    expect(asked.body).toContain('@bob:localhost.test')
    const wrong = await agent.submit(asked, { password: 'wrong' })
    expect(wrong.status).toBe(400)
    const consent = await agent.follow(await agent.submit(wrong, { password: PASSWORD }))
    expect(consent.body).toContain('value="continue"')
    const token = new URL((await agent.submit(consent, { action: 'continue' })).location ?? '').searchParams
    expect((await tokenLogin(postern, token.get('loginToken') ?? '')).status).toBe(200)
  })

  test('the button of a page that was open for long asks for the password too', async () => {
    await rules('compat_login', [{ id: 'fresh', outcome: 'reauthenticate' }])
    const { agent } = await signInByPage('bob')
    const query = new URLSearchParams({ redirectUrl: 'https://app.example/' })
    const consent = await agent.follow(await agent.get(`/_matrix/client/v3/login/sso/redirect?${query}`))
    postern.clock.advance(301)
    expect((await agent.submit(consent, { action: 'continue' })).location).toContain('/reauthenticate?')
  })
})

describe('rules are read anew', () => {
  test('where one of them is wrong, all of the old ones stay in force, and the log has the place', async () => {
    await rules('compat_login', [{ id: 'old', when: 'user.localpart == "bob"', outcome: 'deny' }])
    await folder.rules('compat_login', [])
    await folder.rules('password_login', [{ id: 'typo', when: 'user.localprt == "x"', outcome: 'deny' }])
    const parts = await postern.reload()
    const fault = parts.find(({ part }) => part === 'policies')?.fault
    expect(fault).toContain(
      'password_login.yaml:4:16: rule typo: user.localprt is not known; did you mean localpart?',
    )
    expect((await passwordLogin(postern, 'bob')).status).toBe(403)
    expect((await passwordLogin(postern, 'carol')).status).toBe(200)
    expect(postern.logged.some((line) => line.includes('reload.refused') && line.includes('localprt'))).toBe(
      true,
    )
    await folder.rules('password_login', [])
    await postern.reload()
    expect((await passwordLogin(postern, 'bob')).status).toBe(200)
  })

  test('where their folder is gone, all of the old ones stay in force, and the log names it', async () => {
    await rules('compat_login', [{ id: 'old', when: 'user.localpart == "bob"', outcome: 'deny' }])
    const elsewhere = `${folder.path}-elsewhere`
    await rename(folder.path, elsewhere)
    try {
      const parts = await postern.reload()
      expect(parts.find(({ part }) => part === 'policies')?.fault).toContain(folder.path)
      expect((await passwordLogin(postern, 'bob')).status).toBe(403)
      expect((await passwordLogin(postern, 'carol')).status).toBe(200)
    } finally {
      await rename(elsewhere, folder.path)
    }
    await rules('compat_login', [])
    expect((await passwordLogin(postern, 'bob')).status).toBe(200)
  })

  test('a service does not start with rules that are wrong', async () => {
    await folder.rules('password_login', [{ id: 'typo', when: 'usr.admin', outcome: 'deny' }])
    const start = startPostern({ beside: postern, config: { policies: { folder: folder.path } } })
    await expect(start).rejects.toThrow('variable usr is not known; did you mean user?')
  })
})
