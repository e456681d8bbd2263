import type { Options } from './options.ts'

/**
 * Measures two things in turns: what disturbs the machine for a while disturbs both, so that their ratio can be
 * believed where the figures themselves cannot.
 */
export async function inTurns<A, B>(
  { rounds }: Options,
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<{ first: A; second: B }[]> {
  const results = []
  for (let n = 0; n < rounds; n++) results.push({ first: await first(), second: await second() })
  return results
}
