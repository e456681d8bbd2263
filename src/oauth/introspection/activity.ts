import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { markActive } from '../../sessions/store.ts'
import { markFirstUse } from '../../tokens/store.ts'
import type { IntrospectedToken } from './store.ts'

const MAX_PENDING = 50_000

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
      if (hashes.size > 0) await markFirstUse(db, [...hashes.values()], clock.now())
      if (sessions.size > 0)
        await markActive(
          db,
          [...sessions].map(([id, at]) => ({ id, at })),
        )
    } catch (error) {
      log.warn({ err: error }, 'activity.flush_deferred')
      used = new Map([...hashes, ...used])
      active = new Map([...sessions, ...active])
    }
  }

  return { note, flush }
}

export type Activity = ReturnType<typeof createActivity>
