import { afterAll, beforeAll, expect, test } from 'vitest'
import { latestSession, openAccount } from '../support/account.ts'
import { type Agent, type Answer, createAgent, readForm } from '../support/agent.ts'
import { addUser, introspect, obtainTokens, PASSWORD, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
  await addUser(postern, 'alice')
  await addUser(postern, 'bob')
})
afterAll(() => postern.close())

/** Posts a form as a stranger would make a browser post it: each try is refused. */
async function forge(agent: Agent, page: Answer, fields: Record<string, string> = {}): Promise<void> {
  const { action, hidden } = readForm(page)
  const own = { ...hidden, ...fields }
  const other = await openAccount(postern, 'bob')
  const foreign = readForm(await other.get(`${postern.url}sign-out`)).hidden.csrf ?? ''
  const { csrf: _, ...without } = own
  const tries = [
    agent.post(action, without),
    agent.post(action, { ...own, csrf: foreign }),
    agent.post(action, own, { 'sec-fetch-site': 'cross-site' }),
    agent.post(action, own, { 'sec-fetch-site': 'same-site' }),
    agent.post(action, own, { origin: 'https://evil.example' }),
    agent.post(action, own, { origin: 'null' }),
  ]
  for (const answer of await Promise.all(tries)) expect(answer.status).toBe(403)
}

test('check 63: a forged form ends no app session', async () => {
  const clientId = await registerClient(postern)
  const tokens = await obtainTokens(postern, clientId, 'alice')
  const agent = await openAccount(postern, 'alice')
  const id = await latestSession(postern, 'alice')
  await forge(agent, await agent.get(`${postern.url}account/sessions/${id}/end`))
  expect((await introspect(postern, tokens.access_token)).body).toMatchObject({ active: true })
})

test('check 63: a forged form ends no browser session', async () => {
  const agent = await openAccount(postern, 'alice')
  const other = await openAccount(postern, 'alice')
  const page = await agent.get(`${postern.url}account`)
  const body = /<form[^>]*action="[^"]*\/account\/browsers\/[\s\S]*?<\/form>/.exec(page.body)?.[0] ?? ''
  await forge(agent, { ...page, body })
  expect((await other.get(`${postern.url}account`)).status).toBe(200)
})

test('check 63: a forged form changes no password', async () => {
  const agent = await openAccount(postern, 'alice')
  const next = 'a passphrase of the stranger'
  const fields = { current_password: PASSWORD, new_password: next, new_password_again: next }
  await forge(agent, await agent.get(`${postern.url}account/password`), fields)
  await openAccount(postern, 'alice')
})

test('check 63: a forged form allows no reset', async () => {
  const agent = await openAccount(postern, 'alice')
  await forge(agent, await agent.get(`${postern.url}account/cross-signing-reset`))
  expect(postern.homeserver.calls.filter(({ name }) => name === 'allow_cross_signing_reset')).toEqual([])
})

test('check 63: a forged form signs nobody in, and nobody out', async () => {
  const stranger = createAgent(postern.url)
  const credentials = { username: 'bob', password: PASSWORD }
  await forge(stranger, await stranger.get(`${postern.url}login`), credentials)
  expect((await stranger.get(`${postern.url}account`)).location).toContain('/login')
  const agent = await openAccount(postern, 'alice')
  await forge(agent, await agent.get(`${postern.url}sign-out`))
  await forge(agent, await agent.get(`${postern.url}oauth2/logout`))
  expect((await agent.get(`${postern.url}account`)).status).toBe(200)
})

test('check 63: a forged form makes no administrator', async () => {
  const agent = createAgent(postern.url)
  const path = (await postern.app.firstAdmin.issue()) ?? ''
  const page = await agent.get(`${postern.url}${path.slice(1)}`)
  await forge(agent, page, { username: 'mallory', password: PASSWORD, password_again: PASSWORD })
  expect(await postern.db('users').where({ localpart: 'mallory' })).toEqual([])
})
