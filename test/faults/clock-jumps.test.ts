import { afterAll, beforeAll, expect, test } from 'vitest'
import { addUser, introspect, obtainTokens, refresh, registerClient, type Tokens } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern()
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const HOUR = 3600

test.each([
  ['an hour back', -HOUR],
  ['a day back', -24 * HOUR],
  ['an hour ahead', HOUR],
  ['a year ahead', 365 * 24 * HOUR],
])('a clock that jumps %s signs nobody out', async (_, seconds) => {
  const first = await obtainTokens(postern, clientId, 'alice')
  const lost = (await (await refresh(postern, clientId, first.refresh_token)).json()) as Tokens
  postern.clock.advance(seconds)
  await postern.app.cleanUp()

  // The answer that was lost is given again, and the chain goes on.
  const again = await refresh(postern, clientId, first.refresh_token)
  expect(again.status).toBe(200)
  const pair = (await again.json()) as Tokens
  if (seconds < 0) expect(pair.access_token).toBe(lost.access_token)
  expect((await introspect(postern, pair.access_token)).body.active).toBe(true)
  const next = await refresh(postern, clientId, pair.refresh_token)
  expect(next.status).toBe(200)

  postern.clock.advance(-seconds)
  const back = (await next.json()) as Tokens
  expect((await refresh(postern, clientId, back.refresh_token)).status).toBe(200)
  expect(await postern.db('sessions').whereIn('end_reason', ['token_replay', 'expired'])).toEqual([])
})
