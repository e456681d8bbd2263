import type { Clock } from '../../src/clock.ts'

/** A clock that stands still until it is moved, for tests that compare times exactly. */
export function createStillClock(start = new Date('2030-01-01T00:00:00Z')): Clock & {
  advance(seconds: number): void
} {
  let now = start.getTime()
  return {
    now: () => new Date(now),
    advance(seconds) {
      now += seconds * 1000
    },
  }
}
