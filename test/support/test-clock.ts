import type { Clock } from '../../src/clock.ts'

/** A clock that stands still until it is moved. */
export interface TestClock extends Clock {
  advance(seconds: number): void
}

export function createTestClock(start = new Date('2030-01-01T00:00:00Z')): TestClock {
  let now = start.getTime()
  return {
    now: () => new Date(now),
    advance(seconds) {
      now += seconds * 1000
    },
  }
}
