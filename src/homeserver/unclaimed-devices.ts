import type { Knex } from 'knex'
import type { Clock } from '../clock.ts'
import type { Jobs } from '../jobs/jobs.ts'
import { queueDeviceDeletion } from './device-sync.ts'
import { takeUnclaimedDevices } from './store.ts'

/** How long a sign-in may take at the most, from making its device to its session, in seconds. */
const ABANDONED_SECONDS = 120
const BATCH = 500

/**
 * Queues the deletion of devices that were made for a sign-in which came to nothing: it was refused, or its process died.
 * A sign-in that is still under way after so long sees that its device was deleted, and makes it again.
 */
export async function deleteUnclaimedDevices({
  knex,
  jobs,
  clock,
}: {
  knex: Knex
  jobs: Pick<Jobs, 'enqueue'>
  clock: Clock
}): Promise<void> {
  const before = new Date(clock.now().getTime() - ABANDONED_SECONDS * 1000)
  for (let taken = BATCH; taken === BATCH; ) {
    taken = await knex.transaction(async (trx) => {
      const devices = await takeUnclaimedDevices(trx, before, BATCH)
      for (const device of devices) await queueDeviceDeletion(jobs, trx, device)
      return devices.length
    })
  }
}
