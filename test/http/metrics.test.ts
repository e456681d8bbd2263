import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHistogram } from '../../src/telemetry/counts.ts'
import { compatSession, passwordLogin } from '../support/compat.ts'
import { addUser, introspect, obtainTokens, refresh, registerClient } from '../support/oauth.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let port: number

beforeAll(async () => {
  port = await freePort()
  postern = await startPostern({
    config: { metrics: { host: '127.0.0.1', port }, passwords: { max_concurrent: 1 } },
  })
})
afterAll(() => postern.close())

const scrape = async (path = '/metrics') => fetch(`http://127.0.0.1:${port}${path}`)

/** The value of a sample; 0 where there is none. */
async function value(sample: string): Promise<number> {
  const text = await (await scrape()).text()
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1) ?? 0)
}

/** The names of all metrics. */
async function families(): Promise<Set<string>> {
  const text = await (await scrape()).text()
  return new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name))
}

test('requests, introspection, passwords, sessions, jobs and the pool are counted', async () => {
  const id = await addUser(postern, 'alice')
  await compatSession(postern, 'alice')
  const clientId = await registerClient(postern)
  const tokens = await obtainTokens(postern, clientId, 'alice')
  await refresh(postern, clientId, tokens.refresh_token ?? '')
  await introspect(postern, tokens.access_token)
  await introspect(postern, 'unknown')
  await introspect(postern, tokens.access_token, { authorization: 'Bearer wrong' })
  // A job that cannot be done now: the counts of the database are told again for a while, so it comes first.
  postern.homeserver.trouble({ status: 500 })
  await postern.app.accounts.lock(id, { actor: 'operator' })
  await postern.app.accounts.unlock(id, { actor: 'operator' })
  expect(await value('postern_introspection_requests_total{status="200"}')).toBeGreaterThan(0)
  expect(await value('postern_introspection_batch_size_count')).toBeGreaterThan(0)
  expect(await value('postern_introspection_batch_size_bucket{le="1"}')).toBeGreaterThan(0)
  expect(await value('postern_introspection_batch_seconds_sum')).toBeGreaterThan(0)
  expect(await value('postern_http_requests_total{route="/oauth2/registration",status="201"}')).toBe(1)
  expect(await value('postern_http_requests_total{route="/oauth2/token",status="200"}')).toBe(2)
  expect(await value('postern_introspection_requests_total{status="401"}')).toBe(1)
  expect(await value('postern_http_request_seconds_count')).toBeGreaterThan(5)
  expect(await value('postern_sessions{kind="oauth"}')).toBe(1)
  expect(await value('postern_sessions{kind="compat"}')).toBe(1)
  expect(await (await scrape()).text()).toMatch(
    /^postern_jobs\{job="user\.sync",state="(created|retry|active)"\} [1-3]$/m,
  )
  postern.homeserver.recover()
  expect(await value('postern_password_hashing{state="running"}')).toBe(0)
  expect(await value('postern_database_up')).toBe(1)
  expect(await value('postern_database_pool_connections{state="free"}')).toBeGreaterThan(0)
  expect(await value('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  expect(await value('process_cpu_seconds_total')).toBeGreaterThan(0)
})

test('passwords that wait for a place are told while they wait', async () => {
  const signingIn = Array.from({ length: 12 }, () => passwordLogin(postern, 'alice', { password: 'wrong' }))
  await expect
    .poll(() => value('postern_password_hashing{state="waiting"}'), { interval: 1, timeout: 10_000 })
    .toBeGreaterThan(0)
  await Promise.all(signingIn)
  expect(await value('postern_password_hashing{state="waiting"}')).toBe(0)
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

test('check 72: metrics are on a listener of their own, tell no secret, and nothing else is there', async () => {
  expect((await fetch(`${postern.url}metrics`)).status).toBe(404)
  expect((await scrape('/')).status).toBe(404)
  expect((await scrape('/health')).status).toBe(404)
  expect(await (await scrape()).text()).not.toContain('alice')
})

test('the dashboard asks for metrics that there are', async () => {
  const file = await readFile(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8')
  const { panels } = JSON.parse(file) as { panels: { title: string; targets: { expr: string }[] }[] }
  const there = await families()
  const asked = new Set<string>()
  for (const { title, targets } of panels) {
    for (const { expr } of targets) {
      const names = expr.match(/\b(?:postern|process)_\w+/g) ?? []
      expect(names, title).not.toEqual([])
      for (const name of names) asked.add(name.replace(/_(bucket|sum|count)$/, ''))
    }
  }
  expect([...asked].filter((name) => !there.has(name))).toEqual([])
  expect(asked.size).toBeGreaterThan(10)
})

test('docs/operate.md explains every metric, and no other', async () => {
  const page = await readFile(new URL('../../docs/operate.md', import.meta.url), 'utf8')
  const explained = new Set([...page.matchAll(/`((?:postern|process)_\w+)/g)].map(([, name = '']) => name))
  expect(explained).toEqual(await families())
})

test('a histogram sorts what is on a bound below it, and what is above all into the last', () => {
  const histogram = createHistogram([1, 2])
  for (const one of [0, 1, 1.5, 2, 100]) histogram.observe(one)
  expect(histogram.read()).toEqual({ bounds: [1, 2], cumulative: [2, 4], sum: 104.5, count: 5 })
})
