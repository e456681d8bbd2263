import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import { createJobs } from '../../src/jobs/jobs.ts'
import { clientConfigOf } from '../../src/storage/client-config.ts'
import { createPool } from '../../src/storage/pool.ts'

/** A process that takes a job of the database at argv[2], says so, and never finishes it: a test kills it. */
const knex = createPool(clientConfigOf(process.argv[2] ?? ''), 4)
const jobs = createJobs({ database: { knex }, log: pino({ level: 'silent' }) })
await jobs.work({
  'user.sync': async ({ userId }) => {
    process.stdout.write(`${userId}\n`)
    await sleep(3_600_000)
  },
})
