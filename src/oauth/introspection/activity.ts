import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { markActive, type SeenSession } from '../../sessions/store.ts'
import { createSeenTokens } from './seen-tokens.ts'
import type { IntrospectedToken } from './store.ts'

const MAX_PENDING = 50_000
/** Rows a statement: few enough that none runs for long beside the lookups, or holds rows that somebody waits for. */
const CHUNK = 500

/**
 * Collects in memory which sessions were seen with which token, and writes it every few seconds: introspection
 * itself writes nothing. A crash in between may take a replay for a retry, which is accepted.
 */
export function createActivity({ db, clock, log }: { db: Knex; clock: Clock; log: Logger }) {
  const seen = createSeenTokens(MAX_PENDING)

  /** Notes that a live access token was seen. */
  function note(accessHash: string, { sessionUuid }: IntrospectedToken): void {
    seen.note(accessHash, sessionUuid, clock.now().getTime())
  }

  /**
   * Writes what was noted. What cannot be written now is kept for the next time.
   * @param rest waits for some milliseconds: as long as a part took to write, so that lookups have the database between
   *   two of them. Without it all is written at once.
   */
  async function flush(rest?: (ms: number) => Promise<unknown>): Promise<void> {
    // What comes meanwhile is for the next time, or this would not come to an end.
    let left = seen.size()
    while (left > 0) {
      const taken = seen.take(Math.min(left, CHUNK))
      if (taken.length === 0) return
      left -= taken.length
      const started = performance.now()
      try {
        await markActive(db, latestOfEach(taken))
      } catch (error) {
        log.warn({ err: error }, 'activity.flush_deferred')
        for (const { uuid, accessHash, at } of taken) seen.note(accessHash, uuid, at)
        return
      }
      if (left > 0) await rest?.(performance.now() - started)
    }
  }

  return { note, flush }
}

/** Of several tokens of a session the one that was seen last. */
function latestOfEach(taken: readonly SeenSession[]): SeenSession[] {
  const latest = new Map<string, SeenSession>()
  for (const one of taken) {
    const other = latest.get(one.uuid)
    if (!other || other.at < one.at) latest.set(one.uuid, one)
  }
  return [...latest.values()]
}

export type Activity = ReturnType<typeof createActivity>
