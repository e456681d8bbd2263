import type { Knex } from 'knex'
import { bumpDeviceEpoch, withUserLock } from './store.ts'

/**
 * Decides under the user's lock whether to make a call that deletes devices, makes it, and counts it in the user's
 * device epoch. The count must stand even when the call fails: a request that timed out may have deleted the device
 * all the same. It is written after the call, so that the user's row is not locked meanwhile.
 */
export async function deleting(
  knex: Knex,
  userId: string,
  decide: (trx: Knex) => Promise<(() => Promise<void>) | undefined>,
): Promise<void> {
  const failure = await withUserLock(knex, userId, async (trx) => {
    const call = await decide(trx)
    if (!call) return undefined
    const failure = await call().then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    await bumpDeviceEpoch(trx, userId)
    return failure
  })
  if (failure) throw failure.error
}
