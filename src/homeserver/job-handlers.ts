import type { JobHandlers } from '../jobs/jobs.ts'
import { deleteDevice, syncDevices } from './device-sync.ts'
import { HomeserverError } from './errors.ts'
import { type HomeserverDeps, syncUser } from './provisioning.ts'

/** The handlers of all jobs that talk to the homeserver. */
export function homeserverJobHandlers(deps: HomeserverDeps): JobHandlers {
  /** A refusal stays one, however often the job is repeated: it is logged, and the job is over. */
  async function unlessRefused(job: string, userId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof HomeserverError) || error.code !== 'homeserver_refused') throw error
      deps.log.error({ job, userId, errcode: error.errcode, reason: error.detail }, 'homeserver.refused')
    }
  }

  return {
    'user.sync': (data) => unlessRefused('user.sync', data.userId, () => syncUser(deps, data)),
    'device.delete': (data) => unlessRefused('device.delete', data.userId, () => deleteDevice(deps, data)),
    'devices.sync': (data) => unlessRefused('devices.sync', data.userId, () => syncDevices(deps, data)),
  }
}
