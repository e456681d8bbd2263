import type { Knex } from 'knex'
import { type ConstructorOptions, fromKnex, type JobWithMetadata, PgBoss } from 'pg-boss'
import type { Logger } from 'pino'
import { PosternError } from '../errors.ts'
import { createOrderedUuids } from '../ids.ts'
import { type JobData, type JobName, jobNames, queueOptions, schedules, workOptions } from './queues.ts'
import { withPrepareLock } from './store.ts'

export type JobHandlers = { [Name in JobName]?: (data: JobData[Name]) => Promise<void> }

/** Work that is done later, and done even if this process dies in between. */
export interface Jobs {
  /** Makes or updates the tables of the queue. May be repeated, also by several processes at once. */
  prepare(): Promise<void>
  /**
   * Queues a job in the caller's transaction: it exists if, and only if, the transaction commits. Returns its ID.
   * Jobs of one kind and one `userId` (or `clientId`, where they are an app's) run one after another, oldest first; one
   * that failed runs again later, so handlers go by the present state, not by the order. `startAfterSeconds` holds a
   * job back.
   */
  enqueue<Name extends JobName>(
    db: Knex,
    name: Name,
    data: JobData[Name],
    options?: { userId?: string; clientId?: string; startAfterSeconds?: number },
  ): Promise<string>
  /** Removes a job that is no longer needed. */
  remove(name: JobName, id: string): Promise<void>
  /** Starts to run jobs of these kinds in this process, and to queue those that run by the clock. */
  work(handlers: JobHandlers): Promise<void>
  /** Stops taking jobs and waits for the running ones. */
  close(): Promise<void>
}

/** Creates pg-boss's schema and our queues where they are missing, and updates their settings. */
export async function prepareJobs({ knex }: { knex: Knex }, log: Logger): Promise<void> {
  await withPrepareLock(knex, async () => {
    const boss = createBoss(knex, log, { migrate: true })
    await boss.start()
    try {
      for (const name of jobNames) {
        await boss.createQueue(name, queueOptions(name))
        await boss.updateQueue(name, queueOptions(name))
      }
    } finally {
      await boss.stop({ graceful: false })
    }
  })
}

/** Jobs kept by pg-boss in the service's own database. Nothing runs in this process before `work`. */
export function createJobs({ database, log }: { database: { knex: Knex }; log: Logger }): Jobs {
  const { knex } = database
  const nextId = createOrderedUuids()
  let boss: Promise<PgBoss> | undefined
  let worker: PgBoss | undefined

  /** Started once, at the first use: commands queue jobs too, without running any. */
  function sender(): Promise<PgBoss> {
    boss ??= createBoss(knex, log, {})
      .start()
      .catch((error: unknown) => {
        boss = undefined
        throw error
      })
    return boss
  }

  return {
    prepare: () => prepareJobs(database, log),

    async enqueue(db, name, data, { userId, clientId, startAfterSeconds } = {}) {
      const group = userId ?? clientId
      const id = await (await sender()).send(name, data, {
        id: nextId(),
        db: fromKnex(db),
        ...(group && { group: { id: group } }),
        ...(startAfterSeconds && { startAfter: startAfterSeconds }),
      })
      if (!id) throw new Error(`The queue took no job '${name}'`)
      return id
    },

    async remove(name, id) {
      await (await sender()).deleteJob(name, id)
    },

    async work(handlers) {
      await sender()
      worker = createBoss(knex, log, { supervise: true, schedule: true })
      await worker.start()
      for (const name of jobNames) {
        const handler = handlers[name]
        if (!handler) continue
        const options = { ...workOptions(name), ...batchOptions }
        await worker.work<JobData[typeof name], void, typeof options>(name, options, (jobs) =>
          runBatch(jobs, handler as (data: object) => Promise<void>, log),
        )
        const cron = schedules[name]
        if (cron) await worker.schedule(name, cron, {}, { missed: 'once' })
      }
    },

    async close() {
      await worker?.stop({ graceful: true, timeout: 15_000 })
      await (await boss)?.stop({ graceful: false })
      worker = boss = undefined
    },
  }
}

const REPEAT_AFTER_MS = 60_000

/** What `runBatch` needs. */
const batchOptions = { perJobResults: true, includeMetadata: true } as const

/** Runs a batch: the jobs of one user in the order in which they were queued, those of different users together. */
async function runBatch(
  jobs: JobWithMetadata<object>[],
  handler: (data: object) => Promise<void>,
  log: Logger,
) {
  const results: { id: string; status: 'completed' | 'failed'; output?: object }[] = []

  async function run({ id, name, data }: JobWithMetadata<object>): Promise<void> {
    try {
      await handler(data)
      results.push({ id, status: 'completed' })
    } catch (error) {
      const failure = describe(error)
      log.warn({ job: name, jobId: id, ...failure }, 'job.failed')
      results.push({ id, status: 'failed', output: failure })
    }
  }

  // The database's time has microseconds, which are lost on the way here: the IDs tell what came first within one.
  const oldestFirst = jobs.toSorted(
    (a, b) => a.createdOn.getTime() - b.createdOn.getTime() || (a.id < b.id ? -1 : 1),
  )
  const queues = Map.groupBy(oldestFirst, (job) => job.groupId ?? job.id)
  await Promise.all(
    [...queues.values()].map(async (queue) => {
      for (const job of queue) if (!job.signal.aborted) await run(job)
    }),
  )
  return results
}

/** What is logged and kept of a failure: no stack and no data of the request that failed. */
function describe(error: unknown): { code: string; reason: string } {
  if (error instanceof PosternError) return { code: error.code, reason: error.detail ?? error.message }
  return { code: 'internal', reason: error instanceof Error ? error.message : String(error) }
}

function createBoss(knex: Knex, log: Logger, options: Partial<ConstructorOptions>): PgBoss {
  const boss = new PgBoss({
    db: fromKnex(knex),
    schema: 'pgboss',
    migrate: false,
    supervise: false,
    schedule: false,
    superviseIntervalSeconds: 10,
    monitorIntervalSeconds: 10,
    ...options,
  })
  const said = { what: '', at: 0 }
  boss.on('error', (error) => {
    // While the database is away each of the queues fails again every few seconds.
    if (error.message === said.what && performance.now() - said.at < REPEAT_AFTER_MS) return
    Object.assign(said, { what: error.message, at: performance.now() })
    log.error({ err: error }, 'job.queue_failed')
  })
  boss.on('warning', (warning) => log.debug({ warning }, 'job.queue_warning'))
  return boss
}
