import type { Knex } from 'knex'
import { advisoryLocks } from '../storage/advisory-locks.ts'

/**
 * Lets one process after the other make the queue's tables. pg-boss takes a lock too, but two processes that both
 * found nothing would both create everything, and the second would fail.
 */
export async function withPrepareLock(knex: Knex, fn: () => Promise<void>): Promise<void> {
  await knex.transaction(async (trx) => {
    await trx.raw('set local statement_timeout = 0')
    await trx.raw('select pg_advisory_xact_lock(?, ?)', [...advisoryLocks.jobs])
    await fn()
  })
}

/** A job that was queued and not done. */
export interface UnfinishedJob {
  name: string
  data: unknown
  userId: string | null
}

/** The jobs that are still to be done, oldest first; none where there is no queue yet. */
export async function unfinishedJobs(db: Knex): Promise<UnfinishedJob[]> {
  const { rows: queues } = await db.raw<{ rows: { found: boolean }[] }>(
    `select to_regclass('pgboss.job') is not null as found`,
  )
  if (!queues[0]?.found) return []
  const { rows } = await db.raw<{ rows: UnfinishedJob[] }>(
    `select name, data, group_id as "userId" from pgboss.job where state < 'completed' order by created_on, id`,
  )
  return rows
}
