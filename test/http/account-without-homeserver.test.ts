import { expect, test } from 'vitest'
import { openAccount } from '../support/account.ts'
import { readForm } from '../support/agent.ts'
import { addUser } from '../support/oauth.ts'
import { startPostern } from '../support/postern.ts'

test('without a homeserver the reset page says that there is nothing to reset, and resets nothing', async () => {
  const none = { endpoint: undefined, secret: undefined }
  const postern = await startPostern({ config: { matrix: none } })
  await addUser(postern, 'alice')
  const agent = await openAccount(postern, 'alice')
  const { hidden } = readForm(await agent.get(`${postern.url}sign-out`))
  const url = `${postern.url}account/cross-signing-reset`
  for (const page of [await agent.get(url), await agent.post(url, hidden)]) {
    expect(page.status).toBe(200)
    expect(page.body).toContain('There is no homeserver here')
    expect(page.body).not.toContain('Allow the reset')
  }
  expect(await postern.db('audit_events').where({ event: 'cross_signing_reset.allowed' })).toEqual([])
  await postern.close()
})
