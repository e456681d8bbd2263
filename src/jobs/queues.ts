/**
 * What each kind of job carries: IDs only, never a secret and never a copy of what the database knows. Handlers
 * read the present state, so a job may run late, twice, or after a newer one, and the result is the same.
 */
export interface JobData {
  /** Bring the homeserver's idea of a user (locked, deactivated, active) up to date. */
  'user.sync': { userId: string; erase?: boolean }
  /** Delete one device at the homeserver, unless a live session holds it. */
  'device.delete': { userId: string; deviceId: string }
  /** Make the homeserver's devices of a user exactly those of the live sessions. */
  'devices.sync': { userId: string }
  /** Queue the deletion of devices that no session has claimed. */
  'devices.unclaimed': Record<string, never>
  /** Tell an app that its session has ended (OpenID Connect Back-Channel Logout). */
  'client.logout': { sessionId: string }
  /** Remove what has expired. */
  cleanup: Record<string, never>
}

export type JobName = keyof JobData

export const jobNames: readonly JobName[] = [
  'user.sync',
  'device.delete',
  'devices.sync',
  'devices.unclaimed',
  'client.logout',
  'cleanup',
]

/** Jobs that run by the clock, with their cron expression (UTC). */
export const schedules: Partial<Record<JobName, string>> = {
  cleanup: '*/10 * * * *',
  'devices.unclaimed': '* * * * *',
}

const day = 86_400

/**
 * How queues behave. A failing job is tried for weeks, at most five minutes apart: the homeserver may be away for
 * long, and what was ended here must end there. A running job whose process died is noticed by its heartbeat.
 */
const queueDefaults = {
  retryLimit: 10_000,
  retryDelay: 1,
  retryBackoff: true,
  retryDelayMax: 300,
  heartbeatSeconds: 10,
  expireInSeconds: 900,
  retentionSeconds: 60 * day,
  deleteAfterSeconds: day,
} as const

/** Jobs are fetched in batches, oldest first, so that a full queue is emptied without a pause. */
const workDefaults = { batchSize: 10, burstWhenBatchFull: true, pollingIntervalSeconds: 1 } as const

/** An app that is away is asked less often than a homeserver; its handler gives up by the session's end. */
const queueDifferences: Partial<Record<JobName, object>> = { 'client.logout': { retryDelayMax: 900 } }

/**
 * Apps are strangers: one that answers slowly must hold up no other. Of each one job runs at a time, on all replicas
 * together, and the others' go past it.
 */
const workDifferences: Partial<Record<JobName, object>> = {
  'client.logout': { batchSize: 1, localConcurrency: 4, groupConcurrency: 1 },
}

/** How a queue keeps and repeats its jobs. */
export const queueOptions = (name: JobName) => ({ ...queueDefaults, ...queueDifferences[name] })

/** How a queue's jobs are taken up. Each queue has workers of its own, so that none waits for another's. */
export const workOptions = (name: JobName) => ({ ...workDefaults, ...workDifferences[name] })
