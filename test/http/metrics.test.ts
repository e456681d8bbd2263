import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHistogram } from '../../src/telemetry/counts.ts'
import { addUser, introspect, obtainTokens, refresh, registerClient } from '../support/oauth.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let port: number

beforeAll(async () => {
  port = await freePort()
  postern = await startPostern({ config: { metrics: { host: '127.0.0.1', port } } })
})
afterAll(() => postern.close())

const scrape = async (path = '/metrics') => fetch(`http://127.0.0.1:${port}${path}`)

/** The value of a sample; 0 where there is none. */
async function value(sample: string): Promise<number> {
  const text = await (await scrape()).text()
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1) ?? 0)
}

test('requests, introspection, passwords, sessions, jobs and the pool are counted', async () => {
  await addUser(postern, 'alice')
  const clientId = await registerClient(postern)
  const tokens = await obtainTokens(postern, clientId, 'alice')
  await refresh(postern, clientId, tokens.refresh_token ?? '')
  await introspect(postern, tokens.access_token)
  await introspect(postern, 'unknown')
  await introspect(postern, tokens.access_token, { authorization: 'Bearer wrong' })
  expect(await value('postern_introspection_requests_total{status="200"}')).toBeGreaterThan(0)
  expect(await value('postern_introspection_batch_size_count')).toBeGreaterThan(0)
  expect(await value('postern_introspection_batch_size_bucket{le="1"}')).toBeGreaterThan(0)
  expect(await value('postern_introspection_batch_seconds_sum')).toBeGreaterThan(0)
  expect(await value('postern_http_requests_total{route="/oauth2/registration",status="201"}')).toBe(1)
  expect(await value('postern_http_requests_total{route="/oauth2/token",status="200"}')).toBe(2)
  expect(await value('postern_sessions{kind="oauth"}')).toBe(1)
  expect(await value('postern_password_hashing{state="running"}')).toBe(0)
  expect(await value('postern_database_up')).toBe(1)
  expect(await value('postern_database_pool_connections{state="free"}')).toBeGreaterThan(0)
  expect(await value('process_resident_memory_bytes')).toBeGreaterThan(1e7)
})

test('a route is counted by its pattern, so that strangers cannot make any number of them', async () => {
  for (const path of ['interaction/one', 'interaction/two', 'nowhere/1', 'nowhere/2'])
    await fetch(`${postern.url}${path}`)
  const text = await (await scrape()).text()
  expect(text).not.toContain('nowhere')
  expect(text).not.toContain('interaction/one')
  expect(text).toMatch(/postern_http_requests_total\{route="other",status="404"\} \d/)
})

test('the text is what Prometheus takes: every sample below its help and type, every number a number', async () => {
  const answer = await scrape()
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
  let family = ''
  for (const line of (await answer.text()).trimEnd().split('\n')) {
    const head = /^# (?:HELP|TYPE) (\S+) \S/.exec(line)
    if (head) family = head[1] ?? ''
    else
      expect(line).toMatch(
        new RegExp(`^${family}(_bucket|_sum|_count)?(\\{(\\w+="[^"]*",?)+\\})? [-\\d.e]+$`),
      )
  }
})

test('metrics are on a listener of their own, tell no secret, and nothing else is there', async () => {
  expect((await fetch(`${postern.url}metrics`)).status).toBe(404)
  expect((await scrape('/')).status).toBe(404)
  expect((await scrape('/health')).status).toBe(404)
  expect(await (await scrape()).text()).not.toContain('alice')
})

test('the dashboard asks for metrics that there are', async () => {
  const dashboard = await readFile(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8')
  const asked = new Set(dashboard.match(/\b(?:postern|process)_\w+(?=[[{)])/g))
  expect(asked.size).toBeGreaterThan(10)
  const text = await (await scrape()).text()
  for (const name of asked)
    expect(text).toMatch(new RegExp(`^# TYPE ${name.replace(/_(bucket|sum|count)$/, '')} `, 'm'))
})

test('a histogram sorts what is on a bound below it, and what is above all into the last', () => {
  const histogram = createHistogram([1, 2])
  for (const one of [0, 1, 1.5, 2, 100]) histogram.observe(one)
  expect(histogram.read()).toEqual({ bounds: [1, 2], cumulative: [2, 4], sum: 104.5, count: 5 })
})
