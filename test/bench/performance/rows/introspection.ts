import { againstBare } from '../against-bare.ts'
import { autocannonLoad } from '../autocannon.ts'
import type { Bench } from '../bench.ts'
import { introspection } from '../conversations.ts'
import { load } from '../load.ts'
import { ms, type Result, type Row } from '../result.ts'

async function many(bench: Bench, connections: number, target: number, p99: number): Promise<Result> {
  const asking = introspection(bench.options.tokens)
  const found = await againstBare(bench, connections, asking, autocannonLoad)
  const bySockets = await againstBare(bench, connections, asking, load)
  return {
    what: `introspection, ${connections} connections, ${bench.options.tokens} tokens`,
    target: `${target.toFixed(2)} of the bare server${p99 === Infinity ? '' : `; p99 under ${p99} ms`}`,
    measured: `${found.words}, p99 ${ms(found.p99)}; by bare sockets ${bySockets.words}, p99 ${ms(bySockets.p99)}`,
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
    const found = await againstBare(bench, 1, introspection(bench.options.tokens), load)
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
