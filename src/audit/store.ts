import type { Knex } from 'knex'
import { toUuid } from '../ids.ts'

export type AuditActor = 'user' | 'admin' | 'operator' | 'client' | 'system'

/** One line of the append-only audit table. IDs are ULIDs; never put a secret into `details`. */
export interface AuditEvent {
  event: string
  actor: AuditActor
  actorUserId?: string | undefined
  userId?: string | undefined
  sessionId?: string | undefined
  clientId?: string | undefined
  ip?: string | undefined
  userAgent?: string | undefined
  details?: Record<string, unknown>
}

/**
 * Appends an event, in the transaction of what it records: either both stand or neither does.
 * @param at the time of the event, from the service's clock
 */
export async function recordAudit(db: Knex, at: Date, event: AuditEvent): Promise<void> {
  await db('audit_events').insert({
    at,
    event: event.event,
    actor: event.actor,
    actor_user_id: event.actorUserId ? toUuid(event.actorUserId) : null,
    user_id: event.userId ? toUuid(event.userId) : null,
    session_id: event.sessionId ? toUuid(event.sessionId) : null,
    client_id: event.clientId ?? null,
    ip: event.ip ?? null,
    user_agent: event.userAgent ?? null,
    details: JSON.stringify(event.details ?? {}),
  })
}
