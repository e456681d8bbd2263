import type { Knex } from 'knex'
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible'
import { LimitedError } from '../errors.ts'

/** How many attempts within how many seconds, from the first one on. */
export interface Limit {
  points: number
  per_seconds: number
}

/** A counter in the table `rate_limits`: shared by all replicas, and still there after a restart. */
export interface Counter {
  /** Counts one attempt. Throws LimitedError, with the seconds to wait, where there were too many. */
  take(key: string): Promise<void>
  /** Gives one attempt back. */
  giveBack(key: string): Promise<void>
  /** Counts one and starts the time anew. */
  mark(key: string): Promise<void>
  /** Whether anything is counted. */
  has(key: string): Promise<boolean>
}

/** Makes a counter. Its time is the system's: the library takes no clock. */
export function createCounter(db: Knex, name: string, limit: Limit): Counter {
  const limiter = new RateLimiterPostgres({
    storeClient: db,
    storeType: 'knex',
    tableName: 'rate_limits',
    tableCreated: true,
    // The clean-up job removes what has expired, once for all replicas.
    clearExpiredByTimeout: false,
    keyPrefix: name,
    points: limit.points,
    duration: limit.per_seconds,
  })
  return {
    async take(key) {
      try {
        await limiter.consume(key)
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error
        const seconds = Math.max(1, Math.ceil(error.msBeforeNext / 1000))
        throw new LimitedError('Too many attempts: please wait and try again', seconds)
      }
    },
    async giveBack(key) {
      await limiter.reward(key)
    },
    async mark(key) {
      await limiter.set(key, 1, limit.per_seconds)
    },
    has: async (key) => (await limiter.get(key)) !== null,
  }
}
