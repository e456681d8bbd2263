import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Agent, type Answer, createAgent, readForm } from '../support/agent.ts'
import { asToken, type RegistrationFiles, writeRegistrations } from '../support/appservices.ts'
import { approveSso, compatSession, matrix, passwordLogin, tokenLogin } from '../support/compat.ts'
import {
  API,
  addUser,
  authorizationRequest,
  authorize,
  deviceScope,
  exchange,
  introspect,
  obtainTokens,
  REDIRECT_URI,
  registerClient,
  signIn,
} from '../support/oauth.ts'
import { createPolicyFolder, type PolicyFolder, type TestRule } from '../support/policies.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const HOUSE_APP = 'house-app'
const HARD_LIMIT = 'You have reached your hard device limit. Please visit your account page to sign some out.'

let postern: TestPostern
let folder: PolicyFolder
let registrations: RegistrationFiles
let app: string
let users = 0
let user: string

const many = { points: 1000, per_seconds: 60 }

beforeAll(async () => {
  folder = await createPolicyFolder()
  registrations = await writeRegistrations({
    puppets: { namespaces: { users: [{ regex: '@.*:localhost\\.test', exclusive: false }] } },
  })
  postern = await startPostern({
    config: {
      policies: { folder: folder.path },
      limits: { sign_in_per_address: many, sign_in_per_user: many },
      appservices: registrations.config,
      clients: [
        { client_id: HOUSE_APP, redirect_uris: [REDIRECT_URI], auth_method: 'none', skip_consent: true },
      ],
    },
  })
  app = await registerClient(postern)
})
beforeEach(async () => {
  await rules([])
  user = `user${users++}`
  await addUser(postern, user)
})
afterAll(async () => {
  await postern.close()
  await folder.remove()
  await registrations.remove()
})

async function rules(list: readonly TestRule[]): Promise<void> {
  await folder.rules('session_limit', list)
  expect(await postern.reload()).toContainEqual({ part: 'policies' })
}

const scopeOf = (device: string) => `openid ${API} ${deviceScope(device)}`

async function liveSessions(): Promise<number> {
  const found = await postern
    .db('sessions')
    .join('users', 'users.id', 'sessions.user_id')
    .where('users.localpart', user)
    .whereNull('ended_at')
  return found.length
}

/** The boxes of the page, in its order. */
function boxes(page: Answer): string[] {
  return [...page.body.matchAll(/name="(end_[0-9A-Z]{26})"/g)].map(([, name = '']) => name)
}

/** The page after the sign-in of an app on a device of that name. */
async function signInApp(device: string, { agent = createAgent(postern.url), client = app } = {}) {
  const request = authorizationRequest(postern, client, { scope: scopeOf(device) })
  let page = await agent.follow(await agent.get(request.url))
  if (page.body.includes('name="password"')) page = await signIn(agent, page, user)
  return { agent, page, request }
}

async function finish(agent: Agent, consent: Answer): Promise<URLSearchParams> {
  const back = await agent.follow(await agent.submit(consent, { action: 'continue' }))
  return new URL(back.location ?? 'about:blank').searchParams
}

describe('older apps', () => {
  test('are refused at the hard limit with the words that they know, and no device is made', async () => {
    await rules([{ id: 'few', hard: 2 }])
    await compatSession(postern, user)
    await compatSession(postern, user)
    const devices = postern.homeserver.devices(user).length
    const refused = await passwordLogin(postern, user)
    expect(refused.status).toBe(403)
    expect(refused.body).toEqual({ errcode: 'M_FORBIDDEN', error: HARD_LIMIT })
    expect(postern.homeserver.devices(user)).toHaveLength(devices)
  })

  test('are not held by the soft limit: there is no page to choose on', async () => {
    await rules([{ id: 'few', soft: 1 }])
    await compatSession(postern, user)
    expect((await passwordLogin(postern, user)).status).toBe(200)
  })

  test('get in on a device that they have already: its session is replaced', async () => {
    await rules([{ id: 'few', hard: 1 }])
    await compatSession(postern, user, { device_id: 'SAMEDEVICE' })
    expect((await passwordLogin(postern, user, { device_id: 'SAMEDEVICE' })).status).toBe(200)
    expect((await passwordLogin(postern, user, { device_id: 'OTHERDEVICE' })).status).toBe(403)
  })

  test('push out the session that was not used for longest, with its device, where the operator wants it', async () => {
    await rules([{ id: 'few', hard: 2, at_hard: 'end_oldest' }])
    const first = await compatSession(postern, user, { device_id: 'FIRST' })
    postern.clock.advance(10)
    const second = await compatSession(postern, user, { device_id: 'SECOND' })
    postern.clock.advance(10)
    const third = await compatSession(postern, user, { device_id: 'THIRD' })
    expect((await introspect(postern, first.access_token)).body.active).toBe(false)
    expect((await introspect(postern, second.access_token)).body.active).toBe(true)
    expect((await introspect(postern, third.access_token)).body.active).toBe(true)
    expect(postern.homeserver.devices(user).map(String).sort()).toEqual(['SECOND', 'THIRD'])
    const reason = await postern.db('sessions').where({ device_id: 'FIRST' }).first('end_reason')
    expect(reason).toEqual({ end_reason: 'session_limit' })
  })

  test('of twenty at once no more get in than there is room for', async () => {
    await rules([{ id: 'few', hard: 3 }])
    const answers = await Promise.all(Array.from({ length: 20 }, () => passwordLogin(postern, user)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3)
    expect(answers.filter(({ body }) => body.error === HARD_LIMIT)).toHaveLength(17)
    expect(await liveSessions()).toBe(3)
  })

  test('of twenty at once that push each other out there are never more than the limit', async () => {
    await rules([{ id: 'few', hard: 3, at_hard: 'end_oldest' }])
    let going = true
    const counts: number[] = []
    const watching = (async () => {
      while (going) counts.push(await liveSessions())
    })()
    const answers = await Promise.all(Array.from({ length: 20 }, () => passwordLogin(postern, user)))
    going = false
    await watching
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(Math.max(...counts)).toBeLessThanOrEqual(3)
    expect(await liveSessions()).toBe(3)
  })

  test('of appservices are neither held nor counted nor pushed out', async () => {
    await rules([{ id: 'few', hard: 1, at_hard: 'end_oldest' }])
    const body = { type: 'm.login.application_service', identifier: { type: 'm.id.user', user } }
    const signInPuppet = () => matrix(postern, 'POST', 'v3/login', { body, token: asToken('puppets') })
    const puppets = [await signInPuppet(), await signInPuppet()]
    const own = await compatSession(postern, user)
    for (const { status, body } of puppets) {
      expect(status).toBe(200)
      expect((await introspect(postern, String(body.access_token))).body.active).toBe(true)
    }
    expect((await introspect(postern, own.access_token)).body.active).toBe(true)
    await rules([{ id: 'few', hard: 1 }])
    expect((await signInPuppet()).status).toBe(200)
  })

  test('a rule holds those whom its condition names, and one that cannot be evaluated refuses', async () => {
    await rules([{ id: 'some', when: `user.localpart == "${user}" && session.kind == "compat"`, hard: 1 }])
    await compatSession(postern, user)
    expect((await passwordLogin(postern, user)).status).toBe(403)
    const other = `user${users++}`
    await addUser(postern, other)
    await compatSession(postern, other)
    expect((await passwordLogin(postern, other)).status).toBe(200)
    await rules([{ id: 'broken', when: '["a"][3] == "a"', hard: 100 }])
    expect((await passwordLogin(postern, other)).body).toMatchObject({ errcode: 'M_FORBIDDEN' })
  })
})

describe('on the pages', () => {
  test('the person chooses at the soft limit what to end, and the sign-in goes on', async () => {
    await rules([{ id: 'few', soft: 2 }])
    const first = await obtainTokens(postern, app, user, { params: { scope: scopeOf('FIRSTDEVICE') } })
    const second = await obtainTokens(postern, app, user, { params: { scope: scopeOf('SECONDDEVICE') } })
    const { agent, page, request } = await signInApp('THIRDDEVICE')
    expect(page.url).toContain('/session-limit?')
    const offered = boxes(page)
    expect(offered).toHaveLength(2)

    const tooFew = await agent.submit(page, {})
    expect(tooFew.status).toBe(400)
    expect(await liveSessions()).toBe(2)

    const { hidden } = readForm(tooFew)
    expect(hidden).toHaveProperty('csrf')
    // The first used last stands last.
    const consent = await agent.follow(await agent.submit(tooFew, { [offered[1] ?? '']: 'yes' }))
    expect(consent.body).toContain('value="continue"')
    const code = (await finish(agent, consent)).get('code') ?? ''
    expect((await exchange(postern, app, code, request.verifier)).status).toBe(200)
    expect((await introspect(postern, first.access_token)).body.active).toBe(false)
    expect((await introspect(postern, second.access_token)).body.active).toBe(true)
    expect(await liveSessions()).toBe(2)
  })

  test('what is not on the person’s own list cannot be ended there', async () => {
    const stranger = `user${users++}`
    await addUser(postern, stranger)
    const theirs = await compatSession(postern, stranger)
    const [{ id }] = (await postern
      .db('sessions')
      .join('users', 'users.id', 'sessions.user_id')
      .where('users.localpart', stranger)
      .select('sessions.id')) as [{ id: string }]
    await rules([{ id: 'few', soft: 1 }])
    await compatSession(postern, user)
    const { agent, page } = await signInApp('NEXTDEVICE')
    const { fromUuid } = await import('../../src/ids.ts')
    expect((await agent.submit(page, { [`end_${fromUuid(id)}`]: 'yes' })).status).toBe(400)
    expect((await introspect(postern, theirs.access_token)).body.active).toBe(true)
  })

  test('a hard limit that refuses older apps lets the person choose too', async () => {
    await rules([{ id: 'few', hard: 1 }])
    await compatSession(postern, user)
    const { page } = await signInApp('NEXTDEVICE')
    expect(boxes(page)).toHaveLength(1)
  })

  test('an app on the same device, and one with room, see no such page', async () => {
    await rules([{ id: 'few', soft: 1 }])
    await obtainTokens(postern, app, user, { params: { scope: scopeOf('SAMEDEVICE') } })
    expect((await signInApp('SAMEDEVICE')).page.body).toContain('value="continue"')
    await rules([{ id: 'few', soft: 2 }])
    expect((await signInApp('OTHERDEVICE')).page.body).toContain('value="continue"')
  })

  test('an app without consent does not go past it, nor the button of a page that was open before', async () => {
    const { agent, page } = await signInApp('FIRSTDEVICE')
    await rules([{ id: 'few', soft: 1 }])
    await compatSession(postern, user)
    const held = await agent.submit(page, { action: 'continue' })
    expect(held.location).toContain('/session-limit?')
    const house = await signInApp('HOUSEDEVICE', { agent, client: HOUSE_APP })
    expect(house.page.url).toContain('/session-limit?')
    const [box = ''] = boxes(house.page)
    const done = await agent.follow(await agent.submit(house.page, { [box]: 'yes' }))
    expect(new URL(done.location ?? '').searchParams.has('code')).toBe(true)
  })

  test('the limit holds at the exchange of a code as well: two consents at once make one session', async () => {
    await rules([{ id: 'few', hard: 1 }])
    const one = await authorize(postern, app, user, { params: { scope: scopeOf('DEVICEONE') } })
    const two = await authorize(postern, app, user, { params: { scope: scopeOf('DEVICETWO') } })
    expect((await exchange(postern, app, one.code, one.request.verifier)).status).toBe(200)
    const refused = await exchange(postern, app, two.code, two.request.verifier)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: 'invalid_grant' })
    expect(await liveSessions()).toBe(1)
  })

  test('the page of older apps and the page of device codes send there too', async () => {
    await rules([{ id: 'few', soft: 1 }])
    await compatSession(postern, user)
    const agent = createAgent(postern.url)
    const query = new URLSearchParams({ redirectUrl: 'https://app.example/' })
    const start = await agent.follow(await agent.get(`/_matrix/client/v3/login/sso/redirect?${query}`))
    const page = await signIn(agent, start, user)
    expect(page.url).toContain('/session-limit?')
    const [box = ''] = boxes(page)
    const consent = await agent.follow(await agent.submit(page, { [box]: 'yes' }))
    expect(consent.body).toContain('value="continue"')
    const token = (await approveSso(postern, user, { agent })).searchParams.get('loginToken') ?? ''
    expect((await tokenLogin(postern, token)).status).toBe(200)

    const device = await fetch(`${postern.url}oauth2/device`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: app, scope: scopeOf('TELEVISION') }),
    })
    const { user_code } = (await device.json()) as { user_code: string }
    expect((await agent.follow(await agent.get(`${postern.url}link/${user_code}`))).url).toContain(
      '/session-limit?',
    )
  })

  test('there is nothing to choose where there is room, and it leads nowhere else', async () => {
    const agent = createAgent(postern.url)
    await signIn(agent, await agent.get(`${postern.url}login`), user)
    const answer = await agent.get(
      `${postern.url}session-limit?next=https%3A%2F%2Fevil.example%2F&kind=oauth`,
    )
    expect(answer.location).toBe(`${postern.url}account`)
  })
})
