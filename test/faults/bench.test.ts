import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'

const main = join(import.meta.dirname, '../bench/performance/main.ts')

test('a quick run of the benchmark fills every row of its table', { timeout: 150_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [main, '--quick'], {
    env: { ...process.env, DATABASE_URL: inject('testDatabase').serverUri },
  })
  const rows = stdout.split('\n').filter((line) => line.startsWith('| '))
  const cells = rows.slice(2).map((row) => row.split(' | '))
  expect(cells.map(([what = '']) => what.slice(2))).toEqual([
    'ready on an existing data folder',
    'ready on an external PostgreSQL',
    'introspection, 32 connections, 2000 tokens',
    'introspection, 256 connections, 2000 tokens',
    'introspection, 1 connection',
    'introspection, from 200 to 2000 tokens',
    'refresh, 32 chains',
    'password sign-in, 8 at once',
    'introspection while 200 clients flood sign-in',
    "memory of the service's process, idle",
    'memory after 1 s of sign-in flood',
  ])
  // In a second of a flood, a busy machine may answer nothing else: the figures mean nothing here.
  for (const [, , measured] of cells) expect(measured).toMatch(/^(p99 )?(-?\d|Infinity)/)
})

test('the benchmark names its rows to someone who asks for one that it has not', async () => {
  const run = promisify(execFile)(process.execPath, [main, 'introspektion'])
  await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('introspection') })
})
