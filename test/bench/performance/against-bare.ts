import type { Bench } from './bench.ts'
import type { Conversation } from './connection.ts'
import { bare } from './conversations.ts'
import type { LoadGenerator } from './load.ts'
import { medianOf, rate } from './result.ts'
import { inTurns } from './rounds.ts'

/** A load on the service, in turns with the same number of connections to the bare server: medians of the rounds. */
export async function againstBare(
  bench: Bench,
  connections: number,
  conversation: () => Conversation,
  generate: LoadGenerator,
) {
  const { tokens, seconds } = bench.options
  const [service, barePort] = [await bench.serviceWith(tokens), await bench.bareServer()]
  const rounds = await inTurns(
    bench.options,
    () => generate(barePort, connections, seconds, bare(tokens)),
    () => generate(service.port, connections, seconds, conversation),
  )
  const ratio = medianOf(rounds, ({ first, second }) => second.perSecond / first.perSecond)
  const perSecond = medianOf(rounds, ({ second }) => second.perSecond)
  const barePerSecond = medianOf(rounds, ({ first }) => first.perSecond)
  return {
    ratio,
    median: medianOf(rounds, ({ second }) => second.median),
    bareMedian: medianOf(rounds, ({ first }) => first.median),
    p99: medianOf(rounds, ({ second }) => second.p99),
    /** The ratio and what it is made of, in words. */
    words: `${ratio.toFixed(ratio < 0.1 ? 3 : 2)} (${rate(perSecond)} of ${rate(barePerSecond)})`,
  }
}
