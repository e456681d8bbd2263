import { expect, test } from 'vitest'
import { createAgent } from '../support/agent.ts'
import { PASSWORD } from '../support/oauth.ts'
import { startPostern } from '../support/postern.ts'

test('the first administrator is made on the page of the link, once, and is signed in', async () => {
  const postern = await startPostern()
  const path = (await postern.app.firstAdmin.issue()) ?? ''
  const link = `${postern.url}${path.slice(1)}`
  const agent = createAgent(postern.url)
  const page = await agent.get(link)
  expect(page.status).toBe(200)

  const refused = await agent.submit(page, {
    username: 'Not A Name',
    password: PASSWORD,
    password_again: PASSWORD,
  })
  expect(refused.status).toBe(400)
  expect(refused.body).toContain('small letters')
  const differing = await agent.submit(refused, {
    username: 'admin',
    password: PASSWORD,
    password_again: 'other',
  })
  expect(differing.body).toContain('both times')
  const short = await agent.submit(differing, {
    username: 'admin',
    password: 'short',
    password_again: 'short',
  })
  expect(short.body).toContain('at least 8 characters')

  const account = await agent.follow(
    await agent.submit(short, { username: 'admin', password: PASSWORD, password_again: PASSWORD }),
  )
  expect(account.body).toContain('@admin:localhost.test')
  expect(await postern.db('users').where({ localpart: 'admin' }).first()).toMatchObject({ is_admin: true })
  expect((await createAgent(postern.url).get(link)).status).toBe(410)
  expect(await postern.app.firstAdmin.issue()).toBeUndefined()
  await postern.close()
})

test('the link expires after an hour', async () => {
  const postern = await startPostern()
  const path = (await postern.app.firstAdmin.issue()) ?? ''
  postern.clock.advance(3601)
  expect((await createAgent(postern.url).get(`${postern.url}${path.slice(1)}`)).status).toBe(410)
  await postern.close()
})
