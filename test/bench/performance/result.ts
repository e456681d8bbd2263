import type { Bench } from './bench.ts'

/** One line of the table. */
export interface Result {
  what: string
  /** What is to be reached, in words. */
  target: string
  /** What was measured, in words. */
  measured: string
  reached: boolean
}

/** What is measured together, under a name for the command line. */
export interface Row {
  name: string
  measure(bench: Bench): Promise<Result[]>
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2
}

/** Of several rounds: the median of a figure. */
export function medianOf<T>(rounds: readonly T[], figure: (round: T) => number): number {
  return median(rounds.map(figure))
}

export const rate = (perSecond: number) => `${Math.round(perSecond)}/s`
export const ms = (milliseconds: number) => `${milliseconds.toPrecision(3)} ms`
