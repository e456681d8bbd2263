import { hashSecret, withChecksum } from '../../../src/tokens/format.ts'

// The tokens of the benchmark are numbered, so that the load generator needs no list of them.

export const accessToken = (n: number) => numbered('mat', n)
export const refreshToken = (n: number) => numbered('mar', n)

function numbered(prefix: 'mat' | 'mar', n: number): string {
  return withChecksum(`${prefix}_${String(n).padStart(30, '0')}`)
}

/** What the database keeps of them. */
export const hashOf = hashSecret
