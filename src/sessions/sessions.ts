import type { Knex } from 'knex'
import { type AuditActor, recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import type { QueuedDeletion } from '../homeserver/device-sync.ts'
import {
  findLiveByDevice,
  listLiveSessions,
  listWebsiteSessionsOfBrowser,
  markEnded,
  type Session,
} from './store.ts'

/** Who ends or starts a session, for the audit table. */
export interface SessionActor {
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
  | 'session_limit'

/** An end that stands in a transaction: after the commit, `settle` tells the homeserver. */
export interface Ended {
  session: Session
  /** The queued fallback that deletes the device, where the session had one. */
  deletion: QueuedDeletion | undefined
}

export interface SessionsDeps {
  db: Knex
  clock: Clock
  queueDeviceDeletion: (trx: Knex, device: { userId: string; deviceId: string }) => Promise<QueuedDeletion>
  /** Queues the notice to the session's app, where that wants one (OpenID Connect Back-Channel Logout). */
  queueLogoutNotice: (trx: Knex, session: Session) => Promise<void>
  /** Deletes queued devices at the homeserver at once; what fails is left to the queue. Never throws. */
  deleteQueuedDevices: (deletions: readonly QueuedDeletion[]) => Promise<void>
}

/** Ending sessions, written once for every kind and every door (invariant 2). */
export function createSessions(deps: SessionsDeps) {
  const { db, clock, queueDeviceDeletion, queueLogoutNotice, deleteQueuedDevices } = deps

  /**
   * Ends a session in the caller's transaction and queues its device's deletion and its app's notice in the same one;
   * undefined when it has ended already. The caller settles the result after the commit.
   */
  async function endWithin(
    trx: Knex,
    id: string,
    reason: EndReason,
    by: SessionActor,
  ): Promise<Ended | undefined> {
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
    await queueLogoutNotice(trx, session)
    // The next session of the same device keeps the device.
    const { userId, deviceId } = session
    if (reason === 'replaced' || !userId || !deviceId) return { session, deletion: undefined }
    return { session, deletion: await queueDeviceDeletion(trx, { userId, deviceId }) }
  }

  /** After the commit: tells the homeserver at once, so that its cached tokens die too. Never throws. */
  async function settle(ended: readonly Pick<Ended, 'deletion'>[]): Promise<void> {
    await deleteQueuedDevices(ended.flatMap((one) => (one.deletion ? [one.deletion] : [])))
  }

  /**
   * Deletes a user's device in the caller's transaction and ends the session on it. A device that no session here
   * holds is deleted too: the homeserver may have some that came from elsewhere. The caller settles the result.
   */
  async function endDeviceWithin(
    trx: Knex,
    userId: string,
    deviceId: string,
    by: SessionActor,
  ): Promise<Pick<Ended, 'deletion'>> {
    const session = await findLiveByDevice(trx, userId, deviceId)
    const ended = session && (await endWithin(trx, session.id, 'signed_out', by))
    return ended ?? { deletion: await queueDeviceDeletion(trx, { userId, deviceId }) }
  }

  /** Ends one session. Returns whether it was still live. */
  async function end(id: string, reason: EndReason, by: SessionActor): Promise<boolean> {
    const ended = await db.transaction((trx) => endWithin(trx, id, reason, by))
    if (ended) await settle([ended])
    return ended !== undefined
  }

  /** Ends all of a user's sessions in the caller's transaction, except those that `keep` picks. */
  async function endAllWithin(
    trx: Knex,
    userId: string,
    reason: EndReason,
    by: SessionActor,
    keep: (session: Session) => boolean = () => false,
  ): Promise<Ended[]> {
    const ended: Ended[] = []
    for (const session of await listLiveSessions(trx, userId)) {
      const one = keep(session) ? undefined : await endWithin(trx, session.id, reason, by)
      if (one) ended.push(one)
    }
    return ended
  }

  /**
   * A browser signs out, in the caller's transaction: the websites that it was signed in to through this service and
   * that asked to be told are signed out too, which is what they registered for. Sessions with a device are Matrix
   * apps: those go on without the browser, and ending one could cost people their message keys.
   */
  async function endWebsitesOfBrowserWithin(
    trx: Knex,
    browser: { id: string; userId: string },
    by: SessionActor,
  ): Promise<void> {
    for (const id of await listWebsiteSessionsOfBrowser(trx, browser))
      await endWithin(trx, id, 'signed_out', by)
  }

  return { end, endWithin, endDeviceWithin, endAllWithin, endWebsitesOfBrowserWithin, settle }
}

export type Sessions = ReturnType<typeof createSessions>
