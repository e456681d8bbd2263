import { UnavailableError } from '../errors.ts'

/** Runs password hashing with bounded concurrency and a bounded queue. */
export interface HashingQueue {
  <T>(work: () => Promise<T>): Promise<T>
  /** Throws UnavailableError where the queue would refuse at this moment: before anything is done in vain. */
  assertRoom(): void
  /** How much runs and waits now. */
  load(): { running: number; waiting: number }
}

/**
 * Hashing takes a core and 19 MiB each: without a bound, a flood of sign-ins would take the memory and starve
 * introspection (check 61).
 * @param maxConcurrent how many run at the same time
 * @param maxQueue how many more may wait; beyond them the queue throws UnavailableError at once
 */
export function createHashingQueue(maxConcurrent: number, maxQueue: number): HashingQueue {
  const waiting: (() => void)[] = []
  let running = 0

  function assertRoom(): void {
    if (running < maxConcurrent || waiting.length < maxQueue) return
    throw new UnavailableError('Too many people are signing in at this moment', { retryAfterSeconds: 2 })
  }

  async function hashInTurn<T>(work: () => Promise<T>): Promise<T> {
    assertRoom()
    if (running >= maxConcurrent) {
      // Whoever finishes hands its place on, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else {
      running += 1
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }

  return Object.assign(hashInTurn, { assertRoom, load: () => ({ running, waiting: waiting.length }) })
}
