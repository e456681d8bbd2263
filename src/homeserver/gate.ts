import type { Knex } from 'knex'

/** Lets a limited number of things run at a time; the others wait in the order in which they came. */
export interface Gate {
  run<T>(fn: () => Promise<T>): Promise<T>
}

export function createGate(limit: number): Gate {
  let running = 0
  const waiting: (() => void)[] = []

  return {
    async run(fn) {
      if (running < limit) running++
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await fn()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}

const gates = new WeakMap<object, Gate>()

/**
 * The gate of a connection pool for work that waits for the homeserver while it holds a connection. It leaves half
 * of the pool alone: a homeserver that hangs must not stop what doesn't need it, such as refreshes.
 */
export function gateOf(knex: Knex): Gate {
  const key: object = knex.client
  const existing = gates.get(key)
  if (existing) return existing
  const max: unknown = knex.client.config?.pool?.max
  const gate = createGate(Math.max(1, Math.floor((typeof max === 'number' ? max : 10) / 2)))
  gates.set(key, gate)
  return gate
}
