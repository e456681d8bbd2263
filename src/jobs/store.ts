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
