import type { Knex } from 'knex'
import { type AuditEvent, auditParameter, insertAuditEvents } from '../../audit/store.ts'
import { userLockKey } from '../../homeserver/store.ts'
import { toUuid } from '../../ids.ts'
import { queryPrepared } from '../../storage/prepared.ts'
import { toUser, USER_COLUMNS, type User, type UserRow } from '../../users/store.ts'
import type { Session } from '../store.ts'

type Told = 'id' | 'kind' | 'userId' | 'clientId' | 'deviceId' | 'scope' | 'browserSessionId' | 'createdAt'

export interface NewSession extends Pick<Session, Told | 'userAgent' | 'name'> {
  expiresAt: Date | null
  ip: string | null
  /** The appservice that signed in; null for everybody else. */
  appservice?: string | null
}

/** An access token, and a refresh token beside it where the client gets one; hashes only. */
export interface FirstTokens {
  accessHash: Buffer
  accessExpiresAt: Date | null
  refreshHash: Buffer | null
}

// One statement: a sign-in on its way through PostgreSQL costs more by their number than by what they do.
const INSERT = `
  with started as (
    insert into sessions (id, kind, user_id, client_id, device_id, scope, browser_session_id, created_at, last_active_at,
                          last_active_ip, user_agent, name, expires_at, appservice)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13)
  ),
  claimed as (delete from unclaimed_devices where user_id = $3 and device_id = $5),
  access as (
    insert into tokens (hash, session_id, kind, created_at, expires_at, refresh_hash)
    select $14, $1, 'access', $8, $15, $16 where $14::bytea is not null
  ),
  refresh as (
    insert into tokens (hash, session_id, kind, created_at, access_hash)
    select $16, $1, 'refresh', $8, $14 where $16::bytea is not null
  )
  ${insertAuditEvents('$17')}`

/**
 * Inserts a session with its first tokens and what the audit table is to know of it. The session claims its device (see
 * `announceDevice`); the unique index on live devices refuses a second one on the same device.
 * @param tokens undefined for a session that has none yet
 */
export async function insertSession(
  db: Knex,
  session: NewSession,
  tokens?: FirstTokens,
  events: readonly AuditEvent[] = [],
): Promise<void> {
  await queryPrepared(db, 'insert-session', INSERT, [
    toUuid(session.id),
    session.kind,
    session.userId && toUuid(session.userId),
    session.clientId,
    session.deviceId,
    session.scope,
    session.browserSessionId && toUuid(session.browserSessionId),
    session.createdAt,
    session.ip,
    session.userAgent,
    session.name,
    session.expiresAt,
    session.appservice ?? null,
    tokens?.accessHash ?? null,
    tokens?.accessExpiresAt ?? null,
    tokens?.refreshHash ?? null,
    auditParameter(session.createdAt, events),
  ])
}

/** A user of whom nobody else makes or deletes devices, and whose row stays as it is, until the transaction ends. */
export interface HeldUser extends User {
  /** How often devices of this user were deleted at the homeserver: see `announceDevice`. */
  deviceEpoch: number
}

/**
 * Takes the user's lock (see `withUserLock`) and the row's behind it. What is read is the row as it is once both are held:
 * a lock on a row follows it to its newest version.
 */
export async function holdUserWithDevices(trx: Knex, id: string): Promise<HeldUser | undefined> {
  const [row] = await queryPrepared<UserRow & { device_epoch: number }>(
    trx,
    'hold-user-with-devices',
    `with held as materialized (select pg_advisory_xact_lock(hashtextextended($2, 0)))
     select ${USER_COLUMNS}, users.device_epoch from held, users where users.id = $1 for share of users`,
    [toUuid(id), userLockKey(id)],
  )
  return row && { ...toUser(row), deviceEpoch: row.device_epoch }
}
