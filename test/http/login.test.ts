import { expect, test } from 'vitest'
import { safeNext } from '../../src/signin/safe-next.ts'
import { createAgent } from '../support/agent.ts'
import { addUser, PASSWORD } from '../support/oauth.ts'
import { startPostern } from '../support/postern.ts'

test.each([
  ['/auth/link?code=BCDF-GHJK', '/auth/link?code=BCDF-GHJK'],
  ['/auth/account/sessions/../password', '/auth/account/password'],
  ['/auth/../elsewhere', '/auth/account'],
  ['/auth/%2e%2e/elsewhere', '/auth/account'],
  ['/auth/%2e%2e//evil.example', '/auth/account'],
  ['/elsewhere', '/auth/account'],
  ['//evil.example/auth/', '/auth/account'],
  ['/\\evil.example', '/auth/account'],
  ['/auth/\\evil.example', '/auth/account'],
  ['/auth/\t/evil.example', '/auth/account'],
  ['/auth/%2F%2Fevil.example', '/auth/account'],
  ['https:evil.example', '/auth/account'],
  ['javascript:alert(1)', '/auth/account'],
  ['', '/auth/account'],
  [undefined, '/auth/account'],
])('check 68: after the sign-in %j leads to %s', (next, expected) => {
  expect(safeNext(next, '/auth/', '/auth/account')).toBe(expected)
})

test('the root leads to the account, by way of the sign-in, below a path too', async () => {
  const postern = await startPostern({ path: 'auth/' })
  await addUser(postern, 'alice')
  const agent = createAgent(postern.url)
  const page = await agent.follow(await agent.get(postern.url))
  expect(page.url).toContain('/auth/login?next=%2Fauth%2Faccount')
  const answer = await agent.submit(page, { username: 'alice', password: PASSWORD })
  expect(answer.location).toBe(`${postern.url}account`)
  // Whoever is signed in goes on at once.
  const onward = await agent.get(`${postern.url}login?next=/auth/account/password`)
  expect(onward.location).toBe(`${postern.url}account/password`)
  await postern.close()
})
