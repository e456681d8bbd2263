import { expect, test } from 'vitest'
import { openAccount } from '../support/account.ts'
import { createAgent } from '../support/agent.ts'
import { addUser, PASSWORD } from '../support/oauth.ts'
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

test('whoever was signed in with the same browser is signed out', async () => {
  const postern = await startPostern()
  await addUser(postern, 'alice')
  const agent = await openAccount(postern, 'alice')
  const path = (await postern.app.firstAdmin.issue()) ?? ''
  const page = await agent.get(`${postern.url}${path.slice(1)}`)
  const fields = { username: 'admin', password: PASSWORD, password_again: PASSWORD }
  const account = await agent.follow(await agent.submit(page, fields))
  expect(account.body).toContain('@admin:localhost.test')
  expect(await postern.db('browser_sessions').whereNull('ended_at')).toHaveLength(1)
  await postern.close()
})
