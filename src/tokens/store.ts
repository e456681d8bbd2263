import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../ids.ts'
import type { SessionKind } from '../sessions/store.ts'

/** All that decides what becomes of a refresh token that is not plainly current. */
export interface RefreshTokenState {
  sessionId: string
  sessionKind: string
  clientId: string | null
  clientKnown: boolean
  clientPublic: boolean
  scope: string
  sessionEnded: boolean
  /** Past its absolute limit, and not ended by the clean-up yet. */
  sessionExpired: boolean
  userLocked: boolean
  userDeactivated: boolean
  expiresAt: Date | null
  consumedAt: Date | null
  successorHash: Buffer | null
  successorSealed: Buffer | null
}

interface RefreshTokenRow {
  session_id: string
  kind: string
  client_id: string | null
  known: boolean
  auth_method: string | null
  scope: string
  ended: boolean
  overdue: boolean
  locked_at: Date | null
  deactivated_at: Date | null
  expires_at: Date | null
  consumed_at: Date | null
  successor_hash: Buffer | null
  successor_sealed: Buffer | null
}

/**
 * Reads a refresh token and locks its session's row, so that ending the session, replaying and refreshing wait
 * for each other. Must run in a transaction.
 */
export async function findRefreshTokenForUpdate(
  trx: Knex,
  hash: Buffer,
  now: Date,
): Promise<RefreshTokenState | undefined> {
  const locked = await trx.raw<{ rows: { id: string }[] }>(
    `select id from sessions where id = (select session_id from tokens where hash = ? and kind = 'refresh') for update`,
    [hash],
  )
  if (locked.rows.length === 0) return undefined
  const result = await trx.raw<{ rows: RefreshTokenRow[] }>(
    `select t.session_id, s.kind, s.client_id, c.client_id is not null as known, c.auth_method, s.scope,
            s.ended_at is not null as ended, coalesce(s.expires_at <= ?, false) as overdue,
            u.locked_at, u.deactivated_at, t.expires_at, t.consumed_at, t.successor_hash, t.successor_sealed
       from tokens t
       join sessions s on s.id = t.session_id
       left join users u on u.id = s.user_id
       left join clients c on c.client_id = s.client_id
      where t.hash = ? and t.kind = 'refresh'`,
    [now, hash],
  )
  const row = result.rows[0]
  return (
    row && {
      sessionId: fromUuid(row.session_id),
      sessionKind: row.kind,
      clientId: row.client_id,
      clientKnown: row.known,
      clientPublic: row.auth_method === 'none',
      scope: row.scope,
      sessionEnded: row.ended,
      sessionExpired: row.overdue,
      userLocked: row.locked_at !== null,
      userDeactivated: row.deactivated_at !== null,
      expiresAt: row.expires_at,
      consumedAt: row.consumed_at,
      successorHash: row.successor_hash,
      successorSealed: row.successor_sealed,
    }
  )
}

/** Waits until nobody holds a session in order to end it. */
export async function waitForSession(trx: Knex, sessionId: string): Promise<void> {
  await trx.raw('select 1 from sessions where id = ? for key share', [toUuid(sessionId)])
}

/** What has become of the successor pair of a consumed refresh token. */
export interface SuccessorState {
  used: boolean
  accessExpiresAt: Date | null
}

/**
 * A pair counts as used once its access token was seen or its refresh token consumed; so does one that is gone. Of a session
 * only the newest pair is not consumed, so its last seen token tells.
 */
export async function findSuccessor(trx: Knex, refreshHash: Buffer): Promise<SuccessorState> {
  const result = await trx.raw<{ rows: { used: boolean; expires_at: Date | null }[] }>(
    `select r.consumed_at is not null or r.first_used_at is not null or a.first_used_at is not null
            or coalesce(s.used_access_hash = coalesce(r.access_hash, a.hash), false) as used, a.expires_at
       from tokens r
       join sessions s on s.id = r.session_id
       left join tokens a on a.session_id = r.session_id and a.kind = 'access' and a.refresh_hash = r.hash
      where r.hash = ?`,
    [refreshHash],
  )
  const row = result.rows[0]
  return row ? { used: row.used, accessExpiresAt: row.expires_at } : { used: true, accessExpiresAt: null }
}

/** Lets a consumed refresh token answer with another pair from now on. */
export async function reseal(trx: Knex, hash: Buffer, successorHash: Buffer, sealed: Buffer): Promise<void> {
  await trx('tokens').where({ hash }).update({ successor_hash: successorHash, successor_sealed: sealed })
}

/** The session of any token, live or not, current or superseded: revocation ends it whatever the token's state. */
export async function findSessionIdByToken(db: Knex, hash: Buffer): Promise<string | undefined> {
  const row = await db('tokens').where({ hash }).first('session_id')
  return row && fromUuid(row.session_id)
}

/** The scope of the session that a token belongs to, whatever the token's state. */
export async function findScopeOfToken(db: Knex, hash: Buffer): Promise<string | undefined> {
  const row = await db('tokens')
    .join('sessions', 'sessions.id', 'tokens.session_id')
    .where('tokens.hash', hash)
    .first('sessions.scope')
  return row?.scope
}

/** An access token of a user as the client-server API sees it, live or not. */
export interface AccessToken {
  sessionId: string
  kind: SessionKind
  userId: string | null
  deviceId: string | null
  scope: string
  consumed: boolean
  expiresAt: Date | null
  sessionLive: boolean
  sessionExpiresAt: Date | null
  userLocked: boolean
  userDeactivated: boolean
}

/** Reads an access token with its session and user. */
export async function findAccessToken(db: Knex, hash: Buffer): Promise<AccessToken | undefined> {
  const row = await db('tokens')
    .join('sessions', 'sessions.id', 'tokens.session_id')
    .leftJoin('users', 'users.id', 'sessions.user_id')
    .where({ 'tokens.hash': hash, 'tokens.kind': 'access' })
    .first({
      session_id: 'sessions.id',
      kind: 'sessions.kind',
      user_id: 'sessions.user_id',
      device_id: 'sessions.device_id',
      scope: 'sessions.scope',
      consumed_at: 'tokens.consumed_at',
      expires_at: 'tokens.expires_at',
      ended_at: 'sessions.ended_at',
      session_expires_at: 'sessions.expires_at',
      locked_at: 'users.locked_at',
      deactivated_at: 'users.deactivated_at',
    })
  return (
    row && {
      sessionId: fromUuid(row.session_id),
      kind: row.kind,
      userId: row.user_id && fromUuid(row.user_id),
      deviceId: row.device_id,
      scope: row.scope,
      consumed: row.consumed_at !== null,
      expiresAt: row.expires_at,
      sessionLive: row.ended_at === null,
      sessionExpiresAt: row.session_expires_at,
      userLocked: row.locked_at !== null,
      userDeactivated: row.deactivated_at !== null,
    }
  )
}
