import type { Knex } from 'knex'
import type { Jobs } from '../jobs/jobs.ts'
import { deleting } from './deleting.ts'
import type { HomeserverDeps } from './provisioning.ts'
import { findUserState, isDeviceHeld, listHeldDevices } from './store.ts'

type DeviceDeps = Pick<HomeserverDeps, 'knex' | 'homeserver' | 'log'>

/** Deletes a device at the homeserver, unless a session that lives (again) holds it. Throws HomeserverError. */
export async function deleteDevice(
  { knex, homeserver }: DeviceDeps,
  { userId, deviceId }: { userId: string; deviceId: string },
): Promise<void> {
  if (!homeserver.configured) return
  await deleting(knex, userId, async (trx) => {
    const user = await findUserState(trx, userId)
    if (!user || (await isDeviceHeld(trx, userId, deviceId))) return undefined
    return () => homeserver.deleteDevice(user.localpart, deviceId)
  })
}

/**
 * Makes the homeserver's devices of a user exactly those of the live sessions here. Appservice users are left alone:
 * their devices are made by the appservice, and no session here holds them. Throws HomeserverError.
 */
export async function syncDevices(
  { knex, homeserver, log }: DeviceDeps,
  { userId }: { userId: string },
): Promise<void> {
  if (!homeserver.configured) return
  await deleting(knex, userId, async (trx) => {
    const user = await findUserState(trx, userId)
    if (!user?.provisionedAt || user.deactivatedAt) return undefined
    const name = await homeserver.isLocalpartAvailable(user.localpart)
    if (!name.available && name.reason === 'exclusive') {
      log.info({ userId }, 'homeserver.devices_of_appservice')
      return undefined
    }
    const held = await listHeldDevices(trx, userId)
    return () => homeserver.syncDevices(user.localpart, held)
  })
}

/** A device's deletion that stands in the queue. */
export interface QueuedDeletion {
  jobId: string
  userId: string
  deviceId: string
}

/** How long the queue leaves a deletion to whoever asked for it, in seconds. */
const HEAD_START_SECONDS = 5

/** Queues a device's deletion in the transaction that ends its session (design, invariant 2). */
export async function queueDeviceDeletion(
  jobs: Pick<Jobs, 'enqueue'>,
  trx: Knex,
  device: { userId: string; deviceId: string },
): Promise<QueuedDeletion> {
  const options = { userId: device.userId, startAfterSeconds: HEAD_START_SECONDS }
  const jobId = await jobs.enqueue(trx, 'device.delete', { ...device }, options)
  return { ...device, jobId }
}

/**
 * After that transaction's commit: deletes the devices at once, because it is what makes the homeserver forget the
 * old tokens, and takes the jobs out of the queue. What fails is left to the queue. Never throws.
 */
export async function deleteQueuedDevices(
  deps: DeviceDeps & { jobs: Pick<Jobs, 'remove'> },
  deletions: readonly QueuedDeletion[],
): Promise<void> {
  for (const { jobId, userId, deviceId } of deletions) {
    try {
      await deleteDevice(deps, { userId, deviceId })
      await deps.jobs.remove('device.delete', jobId)
    } catch (error) {
      deps.log.warn({ err: error, userId, deviceId }, 'homeserver.device_deletion_deferred')
      return
    }
  }
}
