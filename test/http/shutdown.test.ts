import { expect, test } from 'vitest'
import { addUser, authorize, exchange, registerClient } from '../support/oauth.ts'
import { startPostern } from '../support/postern.ts'

test('a stop lets a request in flight finish and accepts no new one', async () => {
  const postern = await startPostern()
  await addUser(postern, 'alice')
  const clientId = await registerClient(postern)
  const { code, request } = await authorize(postern, clientId, 'alice')
  const reached = postern.homeserver.calls.length
  // Answers after the time limit of a call to the homeserver, long enough for the stop to begin meanwhile.
  postern.homeserver.trouble('hang', 'upsert_device')
  const answer = exchange(postern, clientId, code, request.verifier)
  await expect.poll(() => postern.homeserver.calls.length).toBeGreaterThan(reached)
  const stopped = postern.close()
  await expect
    .poll(() =>
      fetch(`${postern.url}health`).then(
        () => 'open',
        () => 'closed',
      ),
    )
    .toBe('closed')
  const response = await answer
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBeTruthy()
  await stopped
})

test('a request that hangs does not keep a stop waiting longer than its limit', async () => {
  const postern = await startPostern({
    config: { http: { drain_limit: 1 }, matrix: { request_timeout: 60 } },
  })
  await addUser(postern, 'alice')
  const clientId = await registerClient(postern)
  const { code, request } = await authorize(postern, clientId, 'alice')
  const reached = postern.homeserver.calls.length
  postern.homeserver.trouble('hang', 'upsert_device')
  const answer = exchange(postern, clientId, code, request.verifier).then(
    () => 'answered',
    () => 'cut off',
  )
  await expect.poll(() => postern.homeserver.calls.length).toBeGreaterThan(reached)
  const before = performance.now()
  await postern.close()
  expect(await answer).toBe('cut off')
  const seconds = (performance.now() - before) / 1000
  expect(seconds).toBeGreaterThan(0.9)
  expect(seconds).toBeLessThan(10)
  expect(postern.logged.join()).not.toContain('stop.failed')
})
