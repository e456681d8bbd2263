import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { markActive, type SeenSession } from '../../sessions/store.ts'
import type { IntrospectedToken } from './store.ts'

const MAX_PENDING = 50_000
/** Rows a statement: few enough that none runs for long beside the lookups, or holds rows that somebody waits for. */
const CHUNK = 500

/**
 * Collects in memory which sessions were seen with which token, and writes it every few seconds: introspection
 * itself writes nothing. A crash in between may take a replay for a retry, which is accepted.
 */
export function createActivity({ db, clock, log }: { db: Knex; clock: Clock; log: Logger }) {
  let seen = new Map<string, SeenSession>()

  /** Notes that a live access token was seen. */
  function note(accessHash: string, { sessionUuid: uuid }: IntrospectedToken): void {
    if (seen.size >= MAX_PENDING) return
    seen.set(uuid, { uuid, accessHash, at: clock.now().getTime() })
  }

  /**
   * Writes what was noted. What cannot be written now is kept for the next time.
   * @param rest waits for some milliseconds: as long as a part took to write, so that lookups have the database between
   *   two of them. Without it all is written at once.
   */
  async function flush(rest?: (ms: number) => Promise<unknown>): Promise<void> {
    const pending = [...seen.values()]
    seen = new Map()
    while (pending.length > 0) {
      const chunk = pending.slice(-CHUNK)
      const started = performance.now()
      try {
        await markActive(db, chunk)
      } catch (error) {
        log.warn({ err: error }, 'activity.flush_deferred')
        seen = new Map([...pending.map((one) => [one.uuid, one] as const), ...seen])
        return
      }
      pending.length -= chunk.length
      if (pending.length > 0) await rest?.(performance.now() - started)
    }
  }

  return { note, flush }
}

export type Activity = ReturnType<typeof createActivity>
