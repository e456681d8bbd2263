import type { Clock } from '../../src/clock.ts'

/** A clock that tests move: it runs with real time, plus what was added. */
export interface TestClock extends Clock {
  advance(seconds: number): void
}

export function createTestClock(): TestClock {
  let ahead = 0
  return {
    now: () => new Date(Date.now() + ahead),
    advance(seconds) {
      ahead += seconds * 1000
    },
  }
}
