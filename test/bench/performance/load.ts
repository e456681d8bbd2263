import { setTimeout as delay } from 'node:timers/promises'
import { type Client, type Conversation, talk } from './connection.ts'

export interface Load {
  perSecond: number
  /** Milliseconds. */
  median: number
  p99: number
}

/** A load that runs until it is stopped; `measure` looks at a part of its time. */
export interface Running {
  measure(seconds: number): Promise<Load>
  /** @throws what a conversation threw, or the error of a connection */
  stop(): void
}

/** Starts `connections` clients that ask without a pause. */
export function startLoad(port: number, connections: number, conversation: () => Conversation): Running {
  let latencies: number[] = []
  let failure: Error | undefined
  const clients: Client[] = []
  const watch = {
    onAnswer: (milliseconds: number) => void latencies.push(milliseconds),
    onError: (error: Error) => {
      failure ??= error
    },
  }
  for (let n = 0; n < connections; n++) clients.push(talk(port, conversation(), watch))

  return {
    async measure(seconds) {
      latencies = []
      const started = performance.now()
      await delay(seconds * 1000)
      const elapsed = (performance.now() - started) / 1000
      if (failure) throw failure
      const sorted = Float64Array.from(latencies).sort()
      const at = (share: number) =>
        sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity
      return { perSecond: sorted.length / elapsed, median: at(0.5), p99: at(0.99) }
    },
    stop() {
      for (const client of clients) client.close()
      if (failure) throw failure
    },
  }
}

export type LoadGenerator = (
  port: number,
  connections: number,
  seconds: number,
  conversation: () => Conversation,
) => Promise<Load>

/** Runs a load by bare sockets for a short time to warm up, then for `seconds`. */
export const load: LoadGenerator = async (port, connections, seconds, conversation) => {
  const running = startLoad(port, connections, conversation)
  try {
    await running.measure(Math.min(0.3, seconds / 3))
    return await running.measure(seconds)
  } finally {
    running.stop()
  }
}
