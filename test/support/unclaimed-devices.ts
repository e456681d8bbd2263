import type { Knex } from 'knex'
import pino from 'pino'
import { deleteUnclaimedDevices } from '../../src/homeserver/unclaimed-devices.ts'
import { createJobs } from '../../src/jobs/jobs.ts'

/** What a running service does some minutes later: devices of sign-ins that came to nothing are due to go now. */
export async function takeBackUnclaimedDevices(knex: Knex): Promise<void> {
  const jobs = createJobs({ database: { knex }, log: pino({ level: 'silent' }) })
  const later = { now: () => new Date(Date.now() + 86_400_000) }
  await deleteUnclaimedDevices({ knex, jobs, clock: later })
  await jobs.close()
  await knex.raw(`update pgboss.job set start_after = now() where state in ('created', 'retry')`)
}
