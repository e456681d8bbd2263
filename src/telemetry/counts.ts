/** How often each HTTP status was answered. Counting allocates nothing: introspection does it on every request. */
export interface StatusCounts {
  count(status: number): void
  /** Those that occurred. */
  entries(): [status: number, count: number][]
}

export function createStatusCounts(): StatusCounts {
  const counts = new Float64Array(600)
  return {
    count(status) {
      counts[status] = (counts[status] ?? 0) + 1
    },
    entries: () => [...counts.entries()].filter(([, count]) => count > 0),
  }
}

/** Values sorted into buckets, with their sum. Observing allocates nothing. */
export interface Histogram {
  observe(value: number): void
  /** Cumulative, as Prometheus has them; the last is everything. */
  read(): { bounds: readonly number[]; cumulative: number[]; sum: number; count: number }
}

/** @param bounds upper bounds, ascending */
export function createHistogram(bounds: readonly number[]): Histogram {
  const buckets = new Float64Array(bounds.length + 1)
  let sum = 0
  return {
    observe(value) {
      let at = 0
      while (at < bounds.length && value > (bounds[at] as number)) at += 1
      buckets[at] = (buckets[at] ?? 0) + 1
      sum += value
    },
    read() {
      let total = 0
      const cumulative = [...buckets].map((count) => (total += count))
      return { bounds, cumulative: cumulative.slice(0, -1), sum, count: total }
    },
  }
}
