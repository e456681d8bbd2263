import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Agent, type Answer, createAgent } from '../support/agent.ts'
import {
  API,
  addUser,
  authorizationRequest,
  authorize,
  deviceScope,
  exchange,
  obtainTokens,
  PASSWORD,
  post,
  REDIRECT_URI,
  refresh,
  registerClient,
  signIn,
} from '../support/oauth.ts'
import { createPolicyFolder, type PolicyFolder, type TestRule } from '../support/policies.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const ADMIN_APP = 'admin-app'
const SCRIPT = { client_id: 'script', client_secret: 'a long secret of a script of the operator' }

let postern: TestPostern
let folder: PolicyFolder
let app: string

beforeAll(async () => {
  folder = await createPolicyFolder()
  const networks = { here: ['127.0.0.0/8', '::1/128'], away: ['192.0.2.0/24'] }
  postern = await startPostern({
    config: {
      policies: { folder: folder.path, networks },
      clients: [
        {
          client_id: ADMIN_APP,
          auth_method: 'none',
          redirect_uris: [REDIRECT_URI],
          grant_types: ['authorization_code', 'refresh_token'],
          skip_consent: true,
        },
        {
          ...SCRIPT,
          auth_method: 'client_secret_post',
          grant_types: ['client_credentials'],
          scope: 'urn:mas:admin',
        },
      ],
    },
  })
  await addUser(postern, 'alice', { admin: true })
  await addUser(postern, 'bob')
  app = await registerClient(postern)
})
beforeEach(() => rules([]))
afterAll(async () => {
  await postern.close()
  await folder.remove()
})

async function rules(list: readonly TestRule[]): Promise<void> {
  await folder.rules('authorization_grant', list)
  expect(await postern.reload()).toContainEqual({ part: 'policies' })
}

/** The page after the sign-in, of an authorization request. */
async function afterSignIn(user: string, { client = app, scope }: { client?: string; scope?: string } = {}) {
  const agent = createAgent(postern.url)
  const request = authorizationRequest(postern, client, scope === undefined ? {} : { scope })
  const page = await signIn(agent, await agent.follow(await agent.get(request.url)), user)
  return { agent, page, request }
}

function parameters(answer: Answer): URLSearchParams {
  return new URL(answer.location ?? 'about:blank').searchParams
}

/** An authorization request in a browser that is signed in. */
function open(agent: Agent, client = app, params: Record<string, string> = {}) {
  return agent.get(authorizationRequest(postern, client, params).url).then(agent.follow)
}

describe('deny', () => {
  test('a rule on user and app shows its message on a page, and leads back to the app without a code', async () => {
    await rules([
      {
        id: 'no-bob',
        when: 'user.localpart == "bob" && client.host == "app.example"',
        outcome: 'deny',
        message: 'Bob may <not> use this app.',
      },
    ])
    const { agent, page } = await afterSignIn('bob')
    expect(page.status).toBe(403)
    expect(page.body).toContain('Bob may &lt;not&gt; use this app.')
    expect(page.body).not.toContain('value="continue"')
    const back = await agent.follow(await agent.submit(page, { action: 'cancel' }))
    expect(back.location?.startsWith(REDIRECT_URI)).toBe(true)
    expect(parameters(back).get('error')).toBe('access_denied')
    expect(parameters(back).has('code')).toBe(false)
    await authorize(postern, app, 'alice')
  })

  test('the button of a consent page that was open before the rule gives nothing', async () => {
    const { agent, page } = await afterSignIn('bob')
    expect(page.body).toContain('value="continue"')
    await rules([{ id: 'no-bob', when: 'user.localpart == "bob"', outcome: 'deny', message: 'Too late.' }])
    const answer = await agent.follow(await agent.submit(page, { action: 'continue' }))
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('Too late.')
  })

  test('whoever is refused can go on as somebody else', async () => {
    await rules([{ id: 'no-bob', when: 'user.localpart == "bob"', outcome: 'deny' }])
    const { agent, page } = await afterSignIn('bob')
    const other = await agent.follow(await agent.submit(page, { action: 'switch' }))
    const consent = await signIn(agent, other, 'alice')
    const back = await agent.follow(await agent.submit(consent, { action: 'continue' }))
    expect(parameters(back).has('code')).toBe(true)
  })

  test('an app that needs no consent is held too, also where the person is signed in already', async () => {
    const { agent, page } = await afterSignIn('bob', { client: ADMIN_APP })
    expect(parameters(page).has('code')).toBe(true)
    await rules([
      { id: 'configured', when: 'client.kind == "configured"', outcome: 'deny', message: 'Closed.' },
    ])
    const again = await open(agent, ADMIN_APP)
    expect(again.status).toBe(403)
    expect(again.body).toContain('Closed.')
    const silent = await agent.get(authorizationRequest(postern, ADMIN_APP, { prompt: 'none' }).url)
    expect(parameters(silent).get('error')).toBe('access_denied')
    expect(parameters(silent).has('code')).toBe(false)
  })

  test('a code that was given before the rule was made is still exchanged, and refreshed: both are hot or too late', async () => {
    const { code, request } = await authorize(postern, app, 'bob')
    await rules([{ id: 'all', outcome: 'deny' }])
    const tokens = (await (await exchange(postern, app, code, request.verifier)).json()) as Record<
      string,
      string
    >
    expect(tokens.access_token).toBeTruthy()
    expect((await refresh(postern, app, tokens.refresh_token ?? '')).status).toBe(200)
  })

  test('scopes are looked at in their stable spelling', async () => {
    await rules([{ id: 'api', when: `scopes.exists(s, s == "${API}")`, outcome: 'deny' }])
    const unstable = 'urn:matrix:org.matrix.msc2967.client'
    const scope = `openid ${unstable}:api:* ${unstable}:device:ABCDEFGHIJ`
    expect((await afterSignIn('bob', { scope })).page.status).toBe(403)
    expect((await afterSignIn('bob', { scope: 'openid' })).page.status).toBe(200)
  })
})

test('a scope that is not known is refused as such, whoever is signed in', async () => {
  const { agent } = await obtainTokens(postern, app, 'bob')
  const answer = await agent.get(authorizationRequest(postern, app, { scope: 'openid nonsense' }).url)
  expect(parameters(answer).get('error')).toBe('invalid_scope')
})

describe('require_mfa', () => {
  test('refuses with a message of ours, and loses against deny', async () => {
    const mfa = { id: 'mfa', when: '!user.mfa', outcome: 'require_mfa' }
    await rules([mfa])
    const { page } = await afterSignIn('bob')
    expect(page.status).toBe(403)
    expect(page.body).toContain('does not offer one yet')
    await rules([mfa, { id: 'deny', outcome: 'deny', message: 'Not at all.' }])
    expect((await afterSignIn('bob')).page.body).toContain('Not at all.')
  })

  test('wins against reauthenticate', async () => {
    await rules([
      { id: 'again', outcome: 'reauthenticate' },
      { id: 'mfa', outcome: 'require_mfa' },
    ])
    expect((await afterSignIn('bob')).page.status).toBe(403)
  })
})

describe('reauthenticate', () => {
  const outside = { id: 'outside', when: '!cidr(request.ip, networks.away)', outcome: 'reauthenticate' }

  test('a password that was given just now counts', async () => {
    await rules([outside])
    const { page } = await afterSignIn('bob')
    expect(page.body).toContain('value="continue"')
  })

  test('a person who signed in a while ago is asked on the page, as the same person', async () => {
    const { agent } = await obtainTokens(postern, app, 'bob')
    await rules([outside])
    postern.clock.advance(301)
    const page = await open(agent)
    expect(page.body).toContain('name="password"')
    expect(page.body).toContain('@bob:localhost.test')
    const wrong = await agent.submit(page, { username: 'alice', password: 'wrong' })
    expect(wrong.status).toBe(400)
    // The name is fixed: what somebody types into the form instead does not count.
    const consent = await agent.follow(await agent.submit(page, { username: 'alice', password: PASSWORD }))
    expect(consent.body).toContain('@bob:localhost.test')
    const back = await agent.follow(await agent.submit(consent, { action: 'continue' }))
    expect(parameters(back).has('code')).toBe(true)
  })

  test('nobody is asked inside of the named network', async () => {
    const { agent } = await obtainTokens(postern, app, 'bob')
    await rules([{ ...outside, when: '!cidr(request.ip, networks.here)' }])
    postern.clock.advance(301)
    expect((await open(agent)).body).toContain('value="continue"')
  })

  test('the button of a consent page does not go past it', async () => {
    await rules([outside])
    const { agent, page } = await afterSignIn('bob')
    postern.clock.advance(301)
    const asked = await agent.follow(await agent.submit(page, { action: 'continue' }))
    expect(asked.body).toContain('name="password"')
    const consent = await agent.follow(await agent.submit(asked, { password: PASSWORD }))
    expect(consent.body).toContain('value="continue"')
  })

  test('an app without consent waits for the password; with prompt=none it is told login_required', async () => {
    const { agent } = await afterSignIn('alice', { client: ADMIN_APP })
    await rules([{ id: 'admin', when: 'scopes.exists(s, s == "urn:mas:admin")', outcome: 'reauthenticate' }])
    postern.clock.advance(301)
    expect(parameters(await open(agent, ADMIN_APP)).has('code')).toBe(true)
    const scope = `openid ${API} ${deviceScope('ABCDEFGHIJ')} urn:mas:admin`
    const silent = await agent.get(authorizationRequest(postern, ADMIN_APP, { scope, prompt: 'none' }).url)
    expect(parameters(silent).get('error')).toBe('login_required')
    const asked = await open(agent, ADMIN_APP, { scope })
    expect(asked.body).toContain('name="password"')
    const back = await agent.follow(await agent.submit(asked, { password: PASSWORD }))
    expect(parameters(back).has('code')).toBe(true)
  })

  test('session.authAge tells how long ago it was, in seconds', async () => {
    const { agent } = await obtainTokens(postern, app, 'bob')
    await rules([{ id: 'old', when: 'session.authAge > 3600', outcome: 'reauthenticate' }])
    postern.clock.advance(3500)
    expect((await open(agent)).body).toContain('value="continue"')
    postern.clock.advance(200)
    expect((await open(agent)).body).toContain('name="password"')
  })
})

describe('the device grant', () => {
  const SCOPE = `openid ${API} ${deviceScope('DEVICEGRANT')}`

  async function start() {
    const response = await post(`${postern.url}oauth2/device`, { client_id: app, scope: SCOPE })
    return (await response.json()) as { device_code: string; user_code: string }
  }
  async function poll(device_code: string): Promise<Record<string, unknown>> {
    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
    const response = await post(`${postern.url}oauth2/token`, { grant_type, client_id: app, device_code })
    return (await response.json()) as Record<string, unknown>
  }
  async function enter(agent: Agent, code: string, user: string): Promise<Answer> {
    const page = await agent.follow(
      await agent.submit(await agent.get(`${postern.url}link`), { user_code: code }),
    )
    return page.body.includes('name="password"') ? signIn(agent, page, user) : page
  }

  test('a rule refuses with its message, and the device is told at once', async () => {
    await rules([
      { id: 'no-devices', when: 'grantType == "device_code"', outcome: 'deny', message: 'No televisions.' },
    ])
    const { device_code, user_code } = await start()
    const page = await enter(createAgent(postern.url), user_code, 'bob')
    expect(page.status).toBe(403)
    expect(page.body).toContain('No televisions.')
    expect(await poll(device_code)).toMatchObject({ error: 'access_denied' })
    await authorize(postern, app, 'bob')
  })

  test('reauthenticate asks for the password before the page, and at the button', async () => {
    const agent = createAgent(postern.url)
    const first = await start()
    await enter(agent, first.user_code, 'bob')
    await rules([{ id: 'fresh', outcome: 'reauthenticate' }])
    postern.clock.advance(301)
    const { device_code, user_code } = await start()
    const page = await agent.follow(await agent.get(`${postern.url}link/${user_code}`))
    expect(page.url).toContain('/reauthenticate?')
    const confirm = await agent.follow(await agent.submit(page, { password: PASSWORD }))
    expect(confirm.body).toContain('value="approve"')
    postern.clock.advance(301)
    expect((await agent.submit(confirm, { action: 'approve' })).location).toContain('/reauthenticate?')
    const again = await agent.follow(await agent.get(`${postern.url}link/${user_code}`))
    const done = await agent.follow(await agent.submit(again, { password: PASSWORD }))
    await agent.follow(await agent.submit(done, { action: 'approve' }))
    expect(await poll(device_code)).toHaveProperty('access_token')
  })
})

describe('client_credentials', () => {
  const ask = () =>
    post(`${postern.url}oauth2/token`, {
      grant_type: 'client_credentials',
      ...SCRIPT,
      scope: 'urn:mas:admin',
    })

  test('a rule refuses with its message as invalid_scope', async () => {
    expect((await ask()).status).toBe(200)
    await rules([
      { id: 'scripts', when: 'grantType == "client_credentials"', outcome: 'deny', message: 'No scripts.' },
    ])
    const refused = await ask()
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: 'invalid_scope', error_description: 'No scripts.' })
  })

  test('nobody is there who could give a password, so reauthenticate refuses', async () => {
    await rules([{ id: 'fresh', outcome: 'reauthenticate' }])
    expect((await ask()).status).toBe(400)
  })
})
