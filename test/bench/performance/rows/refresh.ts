import { bare, refreshChains } from '../conversations.ts'
import { load } from '../load.ts'
import { medianOf, ms, type Row, rate } from '../result.ts'
import { inTurns } from '../rounds.ts'

const CHAINS = 32

export const refreshRow: Row = {
  name: 'refresh',
  async measure(bench) {
    const { tokens, seconds } = bench.options
    const [service, barePort] = [await bench.serviceWith(tokens), await bench.bareServer()]
    const chains = refreshChains(tokens)
    const rounds = await inTurns(
      bench.options,
      () => load(barePort, CHAINS, seconds, bare(tokens)),
      () => load(service.port, CHAINS, seconds, chains),
    )
    const ratio = medianOf(rounds, ({ first, second }) => second.perSecond / first.perSecond)
    const perSecond = medianOf(rounds, ({ second }) => second.perSecond)
    const p99 = medianOf(rounds, ({ second }) => second.p99)
    return [
      {
        what: `refresh, ${CHAINS} chains`,
        target: '0.07 of the bare server, durable commits on',
        measured: `${ratio.toFixed(3)} (${rate(perSecond)}); p99 ${ms(p99)}`,
        reached: ratio >= 0.07,
      },
    ]
  },
}
