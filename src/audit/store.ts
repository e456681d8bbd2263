import type { Knex } from 'knex'
import { toUuid } from '../ids.ts'
import { queryPrepared } from '../storage/prepared.ts'

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

/** Appends the events in a parameter of the statement, which `auditParameter` makes: part of a longer statement. */
export function insertAuditEvents(parameter: string): string {
  return `
    insert into audit_events
           (at, event, actor, actor_user_id, user_id, session_id, client_id, ip, user_agent, details)
    select at, event, actor, actor_user_id, user_id, session_id, client_id, ip, user_agent, coalesce(details, '{}')
      from jsonb_to_recordset(${parameter}::jsonb)
           as e (at timestamptz, event text, actor text, actor_user_id uuid, user_id uuid, session_id uuid, client_id text,
                 ip text, user_agent text, details jsonb)`
}

/** Any number of events that happened at the same time, as a parameter of `insertAuditEvents`. */
export function auditParameter(at: Date, events: readonly AuditEvent[]): string {
  return JSON.stringify(
    events.map((event) => ({
      at,
      event: event.event,
      actor: event.actor,
      actor_user_id: event.actorUserId && toUuid(event.actorUserId),
      user_id: event.userId && toUuid(event.userId),
      session_id: event.sessionId && toUuid(event.sessionId),
      client_id: event.clientId,
      ip: event.ip,
      user_agent: event.userAgent,
      details: event.details,
    })),
  )
}

/**
 * Appends an event, in the transaction of what it records: either both stand or neither does.
 * @param at the time of the event, from the service's clock
 */
export async function recordAudit(db: Knex, at: Date, event: AuditEvent): Promise<void> {
  await queryPrepared(db, 'record-audit', insertAuditEvents('$1'), [auditParameter(at, [event])])
}
