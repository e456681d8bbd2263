import type { Knex } from 'knex'
import type { Family } from './exposition.ts'
import type { Metrics } from './metrics.ts'
import { countJobs, countSessions } from './store.ts'

export interface CollectDeps {
  db: Knex
  metrics: Metrics
  /** How many passwords are being hashed, and how many wait for it. */
  hashing: () => { running: number; waiting: number }
}

/** Milliseconds for which counts of the database are told again, however often somebody asks. */
const KEPT_MS = 30_000

/** Makes the function that reads everything there is to know. While the database is away, what it knows is left out. */
export function createCollect({ db, metrics, hashing }: CollectDeps): () => Promise<Family[]> {
  let kept: { until: number; families: Family[] } | undefined

  async function ofDatabase(): Promise<Family[]> {
    if (kept && kept.until > performance.now()) return kept.families
    try {
      const [sessions, jobs] = await Promise.all([countSessions(db), countJobs(db)])
      const families: Family[] = [
        gauge('postern_database_up', 'Whether the database answers', [[{}, 1]]),
        gauge(
          'postern_sessions',
          'Live sessions by kind',
          sessions.map(({ kind, count }) => [{ kind }, count]),
        ),
        gauge(
          'postern_jobs',
          'Jobs to be done',
          jobs.map(({ job, state, count }) => [{ job, state }, count]),
        ),
      ]
      kept = { until: performance.now() + KEPT_MS, families }
      return families
    } catch {
      return [gauge('postern_database_up', 'Whether the database answers', [[{}, 0]])]
    }
  }

  return async function collect() {
    const { introspection, batchSize, batchSeconds, routes, requestSeconds } = metrics
    const { pool } = db.client
    const { running, waiting } = hashing()
    return [
      counter(
        'postern_introspection_requests_total',
        "The homeserver's introspection requests by status",
        introspection.entries().map(([status, count]) => [{ status }, count]),
      ),
      histogram('postern_introspection_batch_size', 'Lookups in one query', batchSize),
      histogram('postern_introspection_batch_seconds', 'How long one query for lookups took', batchSeconds),
      counter(
        'postern_http_requests_total',
        'Other requests by route and status',
        [...routes].flatMap(([route, counts]) =>
          counts.entries().map(([status, count]): [object, number] => [{ route, status }, count]),
        ) as [Record<string, string>, number][],
      ),
      histogram('postern_http_request_seconds', 'How long other requests took', requestSeconds),
      gauge('postern_password_hashing', 'Passwords being hashed, and waiting for it', [
        [{ state: 'running' }, running],
        [{ state: 'waiting' }, waiting],
      ]),
      gauge('postern_database_pool_connections', 'Connections of the pool', [
        [{ state: 'used' }, pool.numUsed()],
        [{ state: 'free' }, pool.numFree()],
        [{ state: 'waited_for' }, pool.numPendingAcquires()],
      ]),
      ...(await ofDatabase()),
      gauge('process_resident_memory_bytes', 'Memory of this process', [[{}, process.memoryUsage.rss()]]),
      counter('process_cpu_seconds_total', 'Time on a processor', [
        [{}, (process.cpuUsage().user + process.cpuUsage().system) / 1e6],
      ]),
    ]
  }
}

type Samples = [Record<string, string | number>, number][]
const gauge = (name: string, help: string, samples: Samples): Family => ({
  name,
  help,
  type: 'gauge',
  samples,
})
const counter = (name: string, help: string, samples: Samples): Family => ({
  name,
  help,
  type: 'counter',
  samples,
})
const histogram = (name: string, help: string, values: Metrics['batchSize']): Family => ({
  name,
  help,
  type: 'histogram',
  histogram: values,
})
