import { setTimeout as delay } from 'node:timers/promises'
import { signInFlood } from '../conversations.ts'
import { startLoad } from '../load.ts'
import type { Row } from '../result.ts'

const FLOODING = 200

export const memoryRow: Row = {
  name: 'memory',
  async measure(bench) {
    const { tokens, restSeconds, floodSeconds } = bench.options
    const service = await bench.freshService(tokens)
    try {
      await delay(restSeconds * 1000)
      const idle = service.memory()
      const flood = startLoad(service.port, FLOODING, signInFlood(tokens))
      await flood.measure(floodSeconds)
      const flooded = service.memory()
      flood.stop()
      return [
        {
          what: "memory of the service's process, idle",
          target: '150 MB',
          measured: `${Math.round(idle)} MB`,
          reached: idle <= 150,
        },
        {
          what: `memory after ${floodSeconds} s of sign-in flood`,
          target: '300 MB',
          measured: `${Math.round(flooded)} MB`,
          reached: flooded <= 300,
        },
      ]
    } finally {
      await service.stop()
    }
  },
}
