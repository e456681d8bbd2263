import type { AuditEvent } from '../audit/store.ts'

/** Who does something to a user, and from where: the part of an audit event that the caller knows. */
export type By = Pick<AuditEvent, 'actor' | 'actorUserId' | 'ip' | 'userAgent'>
