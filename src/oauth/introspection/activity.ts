import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { markActive } from '../../sessions/store.ts'
import { markFirstUse } from '../../tokens/store.ts'
import type { IntrospectedToken } from './store.ts'

const MAX_PENDING = 50_000
/** Rows a statement: few enough that none runs for long beside the lookups, or holds rows that somebody waits for. */
const CHUNK = 2000

/**
 * Collects first use of tokens and last activity of sessions in memory and writes them in one statement every few
 * seconds: introspection itself writes nothing. A crash in between may take a replay for a retry, which is accepted.
 */
export function createActivity({ db, clock, log }: { db: Knex; clock: Clock; log: Logger }) {
  let used = new Map<string, Buffer>()
  let active = new Map<string, Date>()

  /** Notes that a live token was seen. */
  function note(hash: Buffer, token: IntrospectedToken): void {
    if (used.size >= MAX_PENDING || active.size >= MAX_PENDING) return
    if (!token.firstUsed) used.set(hash.toString('hex'), hash)
    active.set(token.sessionId, clock.now())
  }

  /** Writes what was noted. What cannot be written now is kept for the next time. */
  async function flush(): Promise<void> {
    const [hashes, sessions] = [used, active]
    used = new Map()
    active = new Map()
    try {
      for (const chunk of chunksOf(hashes)) {
        await markFirstUse(
          db,
          chunk.map(([, hash]) => hash),
          clock.now(),
        )
        for (const [key] of chunk) hashes.delete(key)
      }
      for (const chunk of chunksOf(sessions)) {
        await markActive(
          db,
          chunk.map(([id, at]) => ({ id, at })),
        )
        for (const [id] of chunk) sessions.delete(id)
      }
    } catch (error) {
      log.warn({ err: error }, 'activity.flush_deferred')
      used = new Map([...hashes, ...used])
      active = new Map([...sessions, ...active])
    }
  }

  return { note, flush }
}

function chunksOf<Key, Value>(entries: Map<Key, Value>): [Key, Value][][] {
  const all = [...entries]
  return Array.from({ length: Math.ceil(all.length / CHUNK) }, (_, n) =>
    all.slice(n * CHUNK, (n + 1) * CHUNK),
  )
}

export type Activity = ReturnType<typeof createActivity>
