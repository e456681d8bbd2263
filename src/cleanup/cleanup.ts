import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { deleteUnusedClients } from '../oauth/clients/store.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { listOverdueSessions } from '../sessions/store.ts'
import { RETENTION } from './retention.ts'
import * as store from './store.ts'

const OVERDUE_BATCH = 500

export interface CleanupDeps {
  db: Knex
  clock: Clock
  log: Logger
  sessions: Sessions
  /** Seconds without use after which a session ends; null for never. */
  idleLimit: number | null
}

/** Removes what has expired and ends sessions past their limits. Safe to run twice, at once too. */
export function createCleanup({ db, clock, log, sessions, idleLimit }: CleanupDeps): () => Promise<void> {
  const ago = (seconds: number) => new Date(clock.now().getTime() - seconds * 1000)

  async function endOverdueSessions(): Promise<number> {
    let ended = 0
    for (;;) {
      const idleBefore = idleLimit === null ? null : ago(idleLimit)
      const ids = await listOverdueSessions(db, { now: clock.now(), idleBefore, limit: OVERDUE_BATCH })
      for (const id of ids) if (await sessions.end(id, 'expired', { actor: 'system' })) ended++
      if (ids.length < OVERDUE_BATCH) return ended
    }
  }

  return async function cleanUp(): Promise<void> {
    const removed = {
      sessionsExpired: await endOverdueSessions(),
      oidcRecords: await store.deleteOidcRecords(db, ago(RETENTION.oidcRecords)),
      deviceCodes: await store.deleteDeviceCodes(db, ago(RETENTION.deviceCodes)),
      loginTokens: await store.deleteLoginTokens(db, ago(RETENTION.loginTokens)),
      interactiveAuth: await store.deleteInteractiveAuth(db, ago(RETENTION.interactiveAuth)),
      tickets: await store.deleteTickets(db, ago(RETENTION.tickets)),
      accessTokens: await store.deleteAccessTokens(db, ago(RETENTION.accessTokens)),
      sealedSuccessors: await store.wipeSealedSuccessors(db, ago(RETENTION.sealedSuccessors)),
      refreshTokens: await store.deleteRefreshTokens(db, ago(RETENTION.refreshTokens)),
      endedSessions: await store.deleteEndedSessions(db, ago(RETENTION.endedSessions)),
      browserSessions: await store.deleteEndedBrowserSessions(db, ago(RETENTION.endedBrowserSessions)),
      unusedClients: await deleteUnusedClients(db, ago(RETENTION.unusedClients)),
      rateLimits: await store.deleteRateLimits(db, clock.now().getTime()),
    }
    log.info(removed, 'cleanup.done')
  }
}
