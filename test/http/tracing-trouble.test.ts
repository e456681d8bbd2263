import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { serverLog } from '../../src/cli/log.ts'
import { startOpenTelemetry } from '../../src/telemetry/opentelemetry.ts'
import { startFakeCollector } from '../support/fake-collector.ts'
import { freePort, startPostern } from '../support/postern.ts'

const run = promisify(execFile)
const PROBE = fileURLToPath(new URL('../support/loaded-packages.ts', import.meta.url))

/** The packages of OpenTelemetry that a server loads. */
async function loadedPackages(endpoint = ''): Promise<string[]> {
  const { stdout } = await run(process.execPath, [PROBE, endpoint])
  return JSON.parse(stdout)
}

function linesOf(logged: string[], event: string): string[] {
  return logged.filter((line) => line.includes(event))
}

// Two processes that load everything.
test('where tracing is off, nothing of OpenTelemetry is loaded', { timeout: 180_000 }, async () => {
  expect(await loadedPackages()).toEqual([])
  expect(await loadedPackages('http://localhost:4318/v1/traces')).toContain('@opentelemetry/sdk-trace')
})

test('where tracing is off, no caller is told of a trace', async () => {
  const postern = await startPostern()
  try {
    await postern.app.addUser.add({ localpart: 'alice' }, { actor: 'operator' })
    expect(postern.homeserver.calls.length).toBeGreaterThan(0)
    expect(postern.homeserver.calls.every((call) => call.traceparent === undefined)).toBe(true)
  } finally {
    await postern.close()
  }
})

test('a collector that hangs slows no request and no stop, and is logged once', async () => {
  const collector = await startFakeCollector()
  collector.behave('hang')
  const postern = await startPostern({ config: { tracing: { endpoint: collector.endpoint } } })
  const answers: number[] = []
  // Long enough for two exports to run into their time-out.
  await expect
    .poll(
      async () => {
        const started = performance.now()
        expect((await fetch(`${postern.url}health`)).status).toBe(200)
        answers.push(performance.now() - started)
        return linesOf(postern.logged, 'tracing.collector_away').length
      },
      { timeout: 15_000, interval: 20 },
    )
    .toBe(1)
  expect(answers.toSorted((a, b) => a - b)[Math.floor(answers.length / 2)]).toBeLessThan(500)
  const started = performance.now()
  await postern.close()
  expect(performance.now() - started).toBeLessThan(6_000)
  expect(linesOf(postern.logged, 'tracing.')).toHaveLength(1)
  await collector.stop()
})

test('a collector that refuses is logged once, and again when it is back, with what is new then', async () => {
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}/v1/traces`
  const postern = await startPostern({ config: { tracing: { endpoint } } })
  const health = async () => (await fetch(`${postern.url}health`)).status
  await expect
    .poll(async () => (await health()) && linesOf(postern.logged, 'tracing.collector_away').length, {
      timeout: 15_000,
    })
    .toBe(1)
  expect(linesOf(postern.logged, 'tracing.collector_away').join()).toContain('ECONNREFUSED')
  const collector = await startFakeCollector({ port })
  await expect
    .poll(async () => (await health()) && linesOf(postern.logged, 'tracing.collector_back').length, {
      timeout: 15_000,
    })
    .toBe(1)
  expect(collector.spans.map(({ name }) => name)).toContain('GET /health')
  expect(linesOf(postern.logged, 'tracing.')).toHaveLength(2)
  await postern.close()
  await collector.stop()
})

test('headers for the collector are taken from the variable that OpenTelemetry has for them', async () => {
  const collector = await startFakeCollector()
  process.env.OTEL_EXPORTER_OTLP_HEADERS = 'x-api-key=of-the-operator'
  const { endpoint } = collector
  const log = serverLog('silent')
  const tracing = startOpenTelemetry({ endpoint, sampleRatio: 1, serviceName: 'postern', log })
  delete process.env.OTEL_EXPORTER_OTLP_HEADERS
  tracing.start({ name: 'span' }).end()
  await tracing.close(5_000)
  expect(collector.headers[0]).toMatchObject({ 'x-api-key': 'of-the-operator' })
  await collector.stop()
})

test('spans that a collector does not take are thrown away beyond a number', async () => {
  const collector = await startFakeCollector()
  collector.behave(400)
  const logged: string[] = []
  const log = serverLog('info', { write: (line: string) => void logged.push(line) })
  const { endpoint } = collector
  const tracing = startOpenTelemetry({ endpoint, sampleRatio: 1, serviceName: 'postern', log })
  for (let n = 0; n < 20_000; n++) tracing.start({ name: 'span' }).end()
  await expect.poll(() => linesOf(logged, 'tracing.collector_away').length).toBe(1)
  collector.behave('well')
  // Whatever was kept may have been refused by now, too.
  tracing.start({ name: 'span' }).end()
  await tracing.close(5_000)
  expect(collector.spans.length).toBeLessThanOrEqual(2048)
  expect(collector.spans.length).toBeGreaterThan(0)
  await collector.stop()
})
