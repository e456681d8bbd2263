import type { Bench } from '../bench.ts'
import { bare, introspection } from '../conversations.ts'
import { load } from '../load.ts'
import { medianOf, ms, type Result, type Row, rate } from '../result.ts'
import { inTurns } from '../rounds.ts'

async function against(bench: Bench, connections: number) {
  const { tokens, seconds } = bench.options
  const [service, barePort] = [await bench.serviceWith(tokens), await bench.bareServer()]
  const rounds = await inTurns(
    bench.options,
    () => load(barePort, connections, seconds, bare(tokens)),
    () => load(service.port, connections, seconds, introspection(tokens)),
  )
  return {
    ratio: medianOf(rounds, ({ first, second }) => second.perSecond / first.perSecond),
    perSecond: medianOf(rounds, ({ second }) => second.perSecond),
    barePerSecond: medianOf(rounds, ({ first }) => first.perSecond),
    median: medianOf(rounds, ({ second }) => second.median),
    bareMedian: medianOf(rounds, ({ first }) => first.median),
    p99: medianOf(rounds, ({ second }) => second.p99),
  }
}

async function many(bench: Bench, connections: number, target: number, p99: number): Promise<Result> {
  const found = await against(bench, connections)
  return {
    what: `introspection, ${connections} connections, ${bench.options.tokens} tokens`,
    target: `${target.toFixed(2)} of the bare server${p99 === Infinity ? '' : `; p99 under ${p99} ms`}`,
    measured: `${found.ratio.toFixed(2)} (${rate(found.perSecond)} of ${rate(found.barePerSecond)}); p99 ${ms(found.p99)}`,
    reached: found.ratio >= target && found.p99 < p99,
  }
}

export const introspectionRow: Row = {
  name: 'introspection',
  measure: async (bench) => [await many(bench, 32, 0.5, Infinity), await many(bench, 256, 0.6, 40)],
}

export const latencyRow: Row = {
  name: 'latency',
  async measure(bench) {
    const found = await against(bench, 1)
    return [
      {
        what: 'introspection, 1 connection',
        target: 'median under 0.6 ms',
        measured: `${ms(found.median)} (bare server ${ms(found.bareMedian)})`,
        reached: found.median < 0.6,
      },
    ]
  },
}
