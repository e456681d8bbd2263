import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAccount } from '../support/account.ts'
import { type Agent, readForm } from '../support/agent.ts'
import { addUser } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  for (const name of ['alice', 'bob', 'carol', 'dora']) await addUser(postern, name)
})
afterAll(() => postern.close())

const signedIn = (username: string) => openAccount(postern, username)
const account = (agent: Agent) => agent.get(`${postern.url}account`)

/** The form that ends another browser of the same person. */
async function endForm(agent: Agent) {
  const { body, ...page } = await account(agent)
  const form = /<form[^>]*action="[^"]*\/account\/browsers\/[^"]*"[\s\S]*?<\/form>/.exec(body)?.[0] ?? ''
  return readForm({ ...page, body: form })
}

test('another browser is signed out by one press, and pressing twice does no harm', async () => {
  const here = await signedIn('alice')
  const there = await signedIn('alice')
  const { action, hidden } = await endForm(here)
  expect((await here.post(action, hidden)).location).toContain('notice=browser_ended')
  expect((await account(there)).location).toContain('/login')
  const again = await here.post(action, hidden)
  expect(again.status).toBe(303)
  expect((await account(here)).status).toBe(200)
})

test('browsers are named in words, and this one is marked', async () => {
  const agent = await signedIn('bob')
  await postern.db('browser_sessions').update({ user_agent: FIREFOX })
  const page = await account(agent)
  expect(page.body).toContain('Firefox · Linux')
  expect(page.body).toContain('This browser')
})

test("check 71: someone else's browser stays signed in", async () => {
  const carol = await signedIn('carol')
  await signedIn('carol')
  const { action } = await endForm(carol)
  const dora = await signedIn('dora')
  const { hidden } = readForm(await dora.get(`${postern.url}sign-out`))
  expect((await dora.post(action, hidden)).status).toBe(404)
  expect((await endForm(carol)).action).toBe(action)
})

test('nothing is signed out by a GET', async () => {
  const here = await signedIn('alice')
  const there = await signedIn('alice')
  const { action } = await endForm(here)
  expect((await here.get(action)).status).toBe(404)
  expect((await account(there)).status).toBe(200)
})
