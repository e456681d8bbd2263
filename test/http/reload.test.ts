import { readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { runCommand } from '../support/command.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let original: string

beforeAll(async () => {
  postern = await startPostern({ config: { log: { level: 'debug' } } })
  original = await readFile(postern.file, 'utf8')
})
afterAll(() => postern.close())

/** Changes sections of the configuration file that the server was started with. */
async function configure(changes: Record<string, unknown>): Promise<void> {
  await writeFile(postern.file, stringify({ ...parse(original), ...changes }))
}

function command() {
  return runCommand(['--config', postern.file, 'reload'], { cwd: dirname(postern.file) })
}

async function linesOfARequest(): Promise<number> {
  const before = postern.logged.length
  await (await fetch(`${postern.url}health`)).text()
  return postern.logged.length - before
}

test('a reload puts another log level in force', async () => {
  await expect.poll(linesOfARequest).toBeGreaterThan(0)
  await configure({ log: { level: 'error' } })
  expect(await postern.reload()).toContainEqual({ part: 'log level' })
  expect(await linesOfARequest()).toBe(0)
  await configure({ log: { level: 'debug' } })
  await postern.reload()
  await expect.poll(linesOfARequest).toBeGreaterThan(0)
})

test('a fault in the configuration is told and logged with its line, and everything stays as it was', async () => {
  await configure({ log: { level: 'erorr' } })
  const [refused, ...others] = await postern.reload()
  expect(others).toEqual([])
  expect(refused).toMatchObject({
    part: 'configuration',
    fault: expect.stringMatching(/:\d+: log\.level: .+ write one of/),
  })
  expect(postern.logged.filter((line) => line.includes('reload.refused')).join()).toContain('log.level')
  await expect.poll(linesOfARequest).toBeGreaterThan(0)
  await configure({})
})

test('postern reload reaches every server on the database, and says what they reloaded', async () => {
  await configure({})
  const second = await startPostern({ beside: postern })
  try {
    const { code, out } = await command()
    expect(code).toBe(0)
    expect(out.split('\n').filter((line) => line === 'reloaded log level')).toHaveLength(2)
    expect(out).toContain('reloaded pages')
  } finally {
    await second.close()
  }
})

test('postern reload fails with the fault that the server found', async () => {
  // The command reads a file of its own: what the server reads is what counts.
  const mine = `${postern.file}.mine`
  await writeFile(mine, original)
  await configure({ log: { level: 'loud' } })
  const { code, err } = await runCommand(['--config', mine, 'reload'], { cwd: dirname(postern.file) })
  expect(code).toBe(1)
  expect(err).toContain('configuration stays:')
  expect(err).toContain('log.level')
  await configure({})
})

test('two reloads at once run one after the other, and the last word counts', async () => {
  await configure({ log: { level: 'error' } })
  const first = postern.reload()
  await configure({ log: { level: 'debug' } })
  await Promise.all([first, postern.reload()])
  await expect.poll(linesOfARequest).toBeGreaterThan(0)
})
