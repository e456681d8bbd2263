import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PosternError } from '../../src/errors.ts'
import { createJobs, type Jobs } from '../../src/jobs/jobs.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const log = pino({ level: 'silent' })

let database: TestDatabase
let jobs: Jobs

beforeEach(async () => {
  database = await createTestDatabase()
  jobs = createJobs({ database, log })
})

afterEach(async () => {
  await jobs.close()
  await database.close()
})

/** Runs jobs of one kind until as many have run as are expected, and answers with them in order. */
async function run<T>(count: number, each: (data: T) => Promise<void> = async () => {}): Promise<T[]> {
  const seen: T[] = []
  await new Promise<void>((resolve, reject) => {
    const handle = async (data: unknown) => {
      seen.push(data as T)
      if (seen.length === count) resolve()
      await each(data as T)
    }
    jobs.work({ 'device.delete': handle, 'user.sync': handle }).catch(reject)
  })
  return seen
}

async function queued(): Promise<number> {
  const rows = await database.knex('pgboss.job').whereNot('name', 'like', '\\_\\_pgboss%')
  return rows.length
}

test('a job that is queued in a transaction that rolls back does not exist', async () => {
  const rolledBack = database.knex.transaction(async (trx) => {
    await jobs.enqueue(trx, 'user.sync', { userId: 'alice' }, { userId: 'alice' })
    throw new Error('something else failed')
  })
  await expect(rolledBack).rejects.toThrow('something else failed')
  expect(await queued()).toBe(0)
})

test('a job that is queued in a transaction runs after the commit', async () => {
  await database.knex.transaction(async (trx) => {
    await jobs.enqueue(trx, 'user.sync', { userId: 'alice', erase: true }, { userId: 'alice' })
  })
  expect(await run(1)).toEqual([{ userId: 'alice', erase: true }])
})

test('the jobs of a user run in the order in which they were queued, one at a time', async () => {
  for (const deviceId of ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L']) {
    await jobs.enqueue(database.knex, 'device.delete', { userId: 'alice', deviceId }, { userId: 'alice' })
  }
  let running = 0
  let most = 0
  const seen = await run<{ deviceId: string }>(12, async () => {
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    running -= 1
  })
  expect(seen.map((data) => data.deviceId).join('')).toBe('ABCDEFGHIJKL')
  expect(most).toBe(1)
})

test('a job that failed is tried again, and holds up neither others nor its own user', async () => {
  for (const deviceId of ['FAILS', 'NEXT']) {
    await jobs.enqueue(database.knex, 'device.delete', { userId: 'alice', deviceId }, { userId: 'alice' })
  }
  let failures = 0
  const seen = await run<{ deviceId: string }>(3, async ({ deviceId }) => {
    if (deviceId === 'FAILS' && failures++ === 0) throw new Error('not yet')
  })
  expect(seen.map((data) => data.deviceId)).toEqual(['FAILS', 'NEXT', 'FAILS'])
})

test('what is kept of a failure has neither a stack nor the secrets of its cause', async () => {
  await jobs.enqueue(database.knex, 'user.sync', { userId: 'alice' }, { userId: 'alice' })
  const cause = new Error('request with Bearer hunter2')
  const again = run(2, async () => {
    throw new PosternError('homeserver_unavailable', 'Away', { detail: 'connection refused', cause })
  })
  await again
  const [row] = await database.knex('pgboss.job').where({ name: 'user.sync' }).select('output')
  expect(row.output).toEqual({ code: 'homeserver_unavailable', reason: 'connection refused' })
})

test('a job that is not needed any more is removed', async () => {
  const id = await jobs.enqueue(database.knex, 'user.sync', { userId: 'alice' }, { startAfterSeconds: 60 })
  await jobs.remove('user.sync', id)
  expect(await queued()).toBe(0)
})

test('a command queues jobs that another process runs', async () => {
  const command = createJobs({ database, log })
  await command.enqueue(database.knex, 'user.sync', { userId: 'alice' }, { userId: 'alice' })
  await command.close()
  expect(await run(1)).toEqual([{ userId: 'alice' }])
})

test('the tables are made once, also by several processes at once', async () => {
  const empty = await createTestDatabase({ empty: true })
  try {
    const processes = [1, 2, 3].map(() => createJobs({ database: empty, log }))
    await Promise.all(processes.map((each) => each.prepare()))
    await processes[0]?.enqueue(empty.knex, 'user.sync', { userId: 'alice' })
    await Promise.all(processes.map((each) => each.close()))
  } finally {
    await empty.close()
  }
})

test('clean-up is scheduled where a process runs it', async () => {
  await jobs.work({ cleanup: async () => {} })
  const rows = await database.knex('pgboss.schedule').select('name', 'cron')
  expect(rows).toEqual([{ name: 'cleanup', cron: '*/10 * * * *' }])
})

test('the job of a process that was killed is picked up by another', async () => {
  await jobs.enqueue(database.knex, 'user.sync', { userId: 'alice' }, { userId: 'alice' })
  const script = fileURLToPath(new URL('../support/crashing-worker.ts', import.meta.url))
  const worker = spawn(process.execPath, [script, database.uri], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [started] = await once(worker.stdout, 'data')
  expect(String(started)).toBe('alice\n')
  worker.kill('SIGKILL')
  await once(worker, 'exit')
  expect(await run(1)).toEqual([{ userId: 'alice' }])
}, 180_000)
