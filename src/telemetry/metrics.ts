import { createHistogram, createStatusCounts, type Histogram, type StatusCounts } from './counts.ts'

/** What is counted while the service works. It is in memory only, and read when somebody asks. */
export interface Metrics {
  /** The homeserver's introspection requests, by status. */
  introspection: StatusCounts
  /** Lookups in one query, and the seconds that it took. */
  batchSize: Histogram
  batchSeconds: Histogram
  /** All other requests, by route and status, and how long they took in seconds. */
  routes: ReadonlyMap<string, StatusCounts>
  requestSeconds: Histogram
  /** Notes a request that was answered. */
  answered(route: string, status: number, seconds: number): void
}

export function createMetrics(): Metrics {
  const routes = new Map<string, StatusCounts>()
  const requestSeconds = createHistogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
  return {
    introspection: createStatusCounts(),
    batchSize: createHistogram([1, 2, 4, 8, 16, 32, 64, 128, 256]),
    batchSeconds: createHistogram([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]),
    routes,
    requestSeconds,
    answered(route, status, seconds) {
      let counts = routes.get(route)
      if (!counts) {
        counts = createStatusCounts()
        routes.set(route, counts)
      }
      counts.count(status)
      requestSeconds.observe(seconds)
    },
  }
}
