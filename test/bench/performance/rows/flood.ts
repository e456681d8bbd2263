import { introspection, signInFlood } from '../conversations.ts'
import { startLoad } from '../load.ts'
import { medianOf, ms, type Row } from '../result.ts'

/** Far more than may wait for a place; the rest is refused at once, and asks again soon. */
const FLOODING = 200
const ASKING = 8

export const floodRow: Row = {
  name: 'flood',
  async measure(bench) {
    const { tokens, seconds, rounds } = bench.options
    const { port } = await bench.serviceWith(tokens)
    const flood = startLoad(port, FLOODING, signInFlood(tokens))
    const asking = startLoad(port, ASKING, introspection(tokens))
    try {
      await asking.measure(seconds)
      const found = []
      for (let n = 0; n < rounds; n++) found.push(await asking.measure(seconds))
      const p99 = medianOf(found, (one) => one.p99)
      return [
        {
          what: `introspection while ${FLOODING} clients flood sign-in`,
          target: 'p99 under 50 ms',
          measured: `p99 ${ms(p99)}, median ${ms(medianOf(found, (one) => one.median))}`,
          reached: p99 < 50,
        },
      ]
    } finally {
      asking.stop()
      flood.stop()
    }
  },
}
