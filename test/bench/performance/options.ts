import { parseArgs } from 'node:util'

/** How much is measured. */
export interface Options {
  /** The rows to measure; all where none is named. */
  rows: readonly string[]
  /** How many tokens the database holds, half of them access tokens. */
  tokens: number
  /** The two sizes that the growth row compares. */
  growth: readonly [number, number]
  /** How often a measurement is repeated, in turns with the bare server; the median counts. */
  rounds: number
  /** How long one measurement takes. */
  seconds: number
  /** How long sign-ins flood before the memory is read. */
  floodSeconds: number
  /** How long the service rests before its idle memory is read. */
  restSeconds: number
}

const FULL = {
  tokens: 2_000_000,
  growth: [10_000, 5_000_000],
  rounds: 7,
  seconds: 3,
  floodSeconds: 300,
  restSeconds: 15,
} as const

/** For a test that the benchmark runs at all: what it prints means nothing. */
const QUICK = {
  tokens: 2_000,
  growth: [200, 2_000],
  rounds: 1,
  seconds: 0.3,
  floodSeconds: 1,
  restSeconds: 0.5,
} as const

export const usage = `Usage: npm run bench -- [row …] [--quick] [--tokens <n>] [--rounds <n>] [--seconds <n>] [--flood-seconds <n>]`

/** @throws TypeError for an option that is not one, or a value that is no positive number */
export function readOptions(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      tokens: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'flood-seconds': { type: 'string' },
    },
  })
  const defaults = values.quick ? QUICK : FULL
  const number = (text: string | undefined, fallback: number) => {
    const value = text === undefined ? fallback : Number(text)
    if (!(value > 0 && Number.isFinite(value))) throw new TypeError(`'${text}' is no positive number`)
    return value
  }
  return {
    ...defaults,
    rows: positionals,
    tokens: number(values.tokens, defaults.tokens),
    rounds: number(values.rounds, defaults.rounds),
    seconds: number(values.seconds, defaults.seconds),
    floodSeconds: number(values['flood-seconds'], defaults.floodSeconds),
  }
}
