import { afterAll, beforeAll, expect, test } from 'vitest'
import { latestSession, openAccount } from '../support/account.ts'
import { createAgent, readForm } from '../support/agent.ts'
import { addUser, authorizationRequest, obtainTokens, PASSWORD, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern.close())

test('a signed-in browser whose person is locked shows why, does nothing else, and goes on after the unlock', async () => {
  const userId = await addUser(postern, 'alice')
  const clientId = await registerClient(postern)
  await obtainTokens(postern, clientId, 'alice')
  const agent = await openAccount(postern, 'alice')
  const id = await latestSession(postern, 'alice')
  const { hidden } = readForm(await agent.get(`${postern.url}sign-out`))
  await postern.app.accounts.lock(userId, { actor: 'operator' })

  const paths = ['account', `account/sessions/${id}`, 'account/password', 'account/cross-signing-reset']
  for (const path of paths) {
    const page = await agent.follow(await agent.get(`${postern.url}${path}`))
    expect(page.body).toContain('This account is locked')
    expect(page.body).toContain('name="password"')
  }
  const next = 'another long passphrase'
  for (const [path, fields] of [
    [`account/sessions/${id}/end`, {}],
    ['account/cross-signing-reset', {}],
    ['account/password', { current_password: PASSWORD, new_password: next, new_password_again: next }],
  ] as const) {
    const answer = await agent.post(`${postern.url}${path}`, { ...hidden, ...fields })
    expect(answer.location).toContain('/login')
  }
  expect(postern.homeserver.calls.some(({ name }) => name === 'allow_cross_signing_reset')).toBe(false)
  const app = await agent.follow(await agent.get(authorizationRequest(postern, clientId).url))
  expect(app.body).toContain('name="password"')

  await postern.app.accounts.unlock(userId, { actor: 'operator' })
  expect((await agent.get(`${postern.url}account/sessions/${id}`)).status).toBe(200)
})

test('a person who is locked learns so after the right password only', async () => {
  const userId = await addUser(postern, 'bob')
  await postern.app.accounts.lock(userId, { actor: 'operator' })
  const agent = createAgent(postern.url)
  const page = await agent.get(`${postern.url}login`)
  const wrong = await agent.submit(page, { username: 'bob', password: 'not this one' })
  expect(wrong.body).not.toContain('locked')
  const right = await agent.submit(page, { username: 'bob', password: PASSWORD })
  expect(right.status).toBe(403)
  expect(right.body).toContain('This account is locked')
  expect((await agent.get(`${postern.url}account`)).location).toContain('/login')
})
