import { introspection } from '../conversations.ts'
import { load } from '../load.ts'
import { medianOf, type Row, rate } from '../result.ts'
import { inTurns } from '../rounds.ts'

const CONNECTIONS = 32

export const growthRow: Row = {
  name: 'growth',
  async measure(bench) {
    const { growth, seconds } = bench.options
    const [few, many] = growth
    const [small, large] = [await bench.serviceWith(few), await bench.serviceWith(many)]
    const rounds = await inTurns(
      bench.options,
      () => load(small.port, CONNECTIONS, seconds, introspection(few)),
      () => load(large.port, CONNECTIONS, seconds, introspection(many)),
    )
    const slower = 1 - medianOf(rounds, ({ first, second }) => second.perSecond / first.perSecond)
    const [before, after] = [
      medianOf(rounds, ({ first }) => first.perSecond),
      medianOf(rounds, ({ second }) => second.perSecond),
    ]
    return [
      {
        what: `introspection, from ${few} to ${many} tokens`,
        target: 'no more than 15 % slower',
        measured: `${(slower * 100).toFixed(0)} % slower (${rate(before)} to ${rate(after)})`,
        reached: slower <= 0.15,
      },
    ]
  },
}
