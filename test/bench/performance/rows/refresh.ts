import { againstBare } from '../against-bare.ts'
import { autocannonLoad } from '../autocannon.ts'
import { refreshChains } from '../conversations.ts'
import { load } from '../load.ts'
import { ms, type Row } from '../result.ts'

const CHAINS = 32

export const refreshRow: Row = {
  name: 'refresh',
  async measure(bench) {
    const chains = refreshChains(bench.options.tokens)
    const found = await againstBare(bench, CHAINS, chains, autocannonLoad)
    const bySockets = await againstBare(bench, CHAINS, chains, load)
    return [
      {
        what: `refresh, ${CHAINS} chains`,
        target: '0.07 of the bare server, durable commits on',
        measured: `${found.words}, p99 ${ms(found.p99)}; by bare sockets ${bySockets.words}, p99 ${ms(bySockets.p99)}`,
        reached: found.ratio >= 0.07,
      },
    ]
  },
}
