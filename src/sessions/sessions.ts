import type { Knex } from 'knex'
import type { Logger } from 'pino'
import { type AuditActor, recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { listLiveSessions, markEnded, type Session } from './store.ts'

/** Who ends a session, for the audit table. */
export interface EndedBy {
  actor: AuditActor
  actorUserId?: string | undefined
  ip?: string | undefined
}

export type EndReason =
  | 'signed_out'
  | 'revoked'
  | 'replaced'
  | 'token_replay'
  | 'code_replay'
  | 'expired'
  | 'password_changed'
  | 'deactivated'
  | 'client_removed'

/** An end that stands in a transaction: after the commit, `settle` tells the homeserver. */
export interface Ended {
  session: Session
  /** The queued fallback that deletes the device, where the session had one. */
  jobId: string | undefined
}

export interface SessionsDeps {
  db: Knex
  clock: Clock
  log: Logger
  enqueueDeviceDeletion: (trx: Knex, userId: string, deviceId: string) => Promise<string>
  removeJob: (jobId: string) => Promise<void>
  /** Deletes the device at the homeserver, unless a live session holds it by now. */
  deleteUnusedDevice: (userId: string, deviceId: string) => Promise<void>
}

/** Ending sessions, written once for every kind and every door (invariant 2). */
export function createSessions({ db, clock, log, enqueueDeviceDeletion, removeJob, deleteUnusedDevice }: SessionsDeps) {
  /**
   * Ends a session in the caller's transaction and queues its device's deletion in the same one; undefined when
   * it has ended already. The caller settles the result after the commit.
   */
  async function endWithin(trx: Knex, id: string, reason: EndReason, by: EndedBy): Promise<Ended | undefined> {
    const now = clock.now()
    const session = await markEnded(trx, id, reason, now)
    if (!session) return undefined
    await recordAudit(trx, now, {
      event: 'session.ended',
      actor: by.actor,
      actorUserId: by.actorUserId,
      ip: by.ip,
      userId: session.userId ?? undefined,
      sessionId: session.id,
      clientId: session.clientId ?? undefined,
      details: { reason, kind: session.kind, device_id: session.deviceId },
    })
    // The next session of the same device keeps the device.
    if (reason === 'replaced' || !session.userId || !session.deviceId) return { session, jobId: undefined }
    return { session, jobId: await enqueueDeviceDeletion(trx, session.userId, session.deviceId) }
  }

  /** Tells the homeserver at once, so that its cached tokens die too; when it is away the queued job does it later. */
  async function settle({ session, jobId }: Ended): Promise<void> {
    if (!jobId || !session.userId || !session.deviceId) return
    try {
      await deleteUnusedDevice(session.userId, session.deviceId)
      await removeJob(jobId)
    } catch (error) {
      log.warn({ err: error, sessionId: session.id }, 'session.device_deletion_deferred')
    }
  }

  /** Ends one session. Returns whether it was still live. */
  async function end(id: string, reason: EndReason, by: EndedBy): Promise<boolean> {
    const ended = await db.transaction((trx) => endWithin(trx, id, reason, by))
    if (ended) await settle(ended)
    return ended !== undefined
  }

  /** Ends all of a user's sessions in the caller's transaction, except those that `keep` picks. */
  async function endAllWithin(
    trx: Knex,
    userId: string,
    reason: EndReason,
    by: EndedBy,
    keep: (session: Session) => boolean = () => false,
  ): Promise<Ended[]> {
    const ended: Ended[] = []
    for (const session of await listLiveSessions(trx, userId)) {
      const one = keep(session) ? undefined : await endWithin(trx, session.id, reason, by)
      if (one) ended.push(one)
    }
    return ended
  }

  return { end, endWithin, endAllWithin, settle }
}

export type Sessions = ReturnType<typeof createSessions>
