import { afterAll, beforeAll, expect, test } from 'vitest'
import { addUser, introspect, obtainTokens, refresh, registerClient, type Tokens } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const DAY = 86_400
let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern({ config: { sessions: { absolute_limit: 40 * DAY, idle_limit: 35 * DAY } } })
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

async function count(table: string): Promise<number> {
  const [row] = await postern.db(table).count<{ count: string | number }[]>('* as count')
  return Number(row?.count)
}

test('clean-up removes what has expired and keeps what is alive', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  expect(await count('oidc_records')).toBeGreaterThan(0)
  postern.clock.advance(3 * DAY)
  await postern.app.cleanUp()
  expect(await count('oidc_records')).toBe(0)
  expect(await count('tokens')).toBe(1)
  expect((await refresh(postern, clientId, tokens.refresh_token)).status).toBe(200)
})

test('a replay is recognised after the used access token of the successor was cleaned up', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const second = (await (await refresh(postern, clientId, first.refresh_token)).json()) as Tokens
  await introspect(postern, second.access_token)
  await postern.app.activity.flush()
  postern.clock.advance(3 * DAY)
  await postern.app.cleanUp()
  const replay = await refresh(postern, clientId, first.refresh_token)
  expect(replay.status).toBe(400)
  expect((await refresh(postern, clientId, second.refresh_token)).status).toBe(400)
})

test('an app that stayed away for weeks after a lost answer still gets its successor', async () => {
  const first = await obtainTokens(postern, clientId, 'alice')
  await refresh(postern, clientId, first.refresh_token)
  postern.clock.advance(20 * DAY)
  await postern.app.cleanUp()
  const again = await refresh(postern, clientId, first.refresh_token)
  expect(again.status).toBe(200)
  const pair = (await again.json()) as Tokens
  expect((await introspect(postern, pair.access_token)).body).toMatchObject({ active: true })
})

test('check 57: a dynamic client without a session goes after 30 days, one with a live session stays', async () => {
  const unused = await registerClient(postern, { client_name: 'Unused' })
  const tokens = await obtainTokens(postern, clientId, 'alice')
  postern.clock.advance(31 * DAY)
  await postern.app.cleanUp()
  expect(await postern.db('clients').where('client_id', unused).first()).toBeUndefined()
  expect((await refresh(postern, clientId, tokens.refresh_token)).status).toBe(200)
})

test('sessions past the idle or the absolute limit end, with their device', async () => {
  const tokens = await obtainTokens(postern, clientId, 'alice')
  postern.clock.advance(41 * DAY)
  await postern.app.cleanUp()
  expect((await refresh(postern, clientId, tokens.refresh_token)).status).toBe(400)
  expect(postern.homeserver.devices('alice')).not.toContain('ABCDEFGHIJ')
})
