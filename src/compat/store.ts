import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../ids.ts'

/** A single-use token between the SSO page and `POST /login`; only its hash is stored (invariant 1). */
export interface LoginToken {
  userId: string
  browserSessionId: string
  browserSessionLive: boolean
  createdAt: Date
  /** When the person had last given their password. */
  authenticatedAt: Date
  expiresAt: Date
  consumedAt: Date | null
  /** The session that it was exchanged for. */
  sessionId: string | null
}

export async function insertLoginToken(
  db: Knex,
  token: { hash: Buffer; userId: string; browserSessionId: string; createdAt: Date; expiresAt: Date },
): Promise<void> {
  await db('login_tokens').insert({
    hash: token.hash,
    user_id: toUuid(token.userId),
    browser_session_id: toUuid(token.browserSessionId),
    created_at: token.createdAt,
    expires_at: token.expiresAt,
  })
}

export async function findLoginToken(db: Knex, hash: Buffer): Promise<LoginToken | undefined> {
  const row = await db('login_tokens')
    .join('browser_sessions', 'browser_sessions.id', 'login_tokens.browser_session_id')
    .where('login_tokens.hash', hash)
    .first(
      'login_tokens.user_id',
      'login_tokens.browser_session_id',
      'login_tokens.created_at',
      'browser_sessions.authenticated_at',
      'login_tokens.expires_at',
      'login_tokens.consumed_at',
      'login_tokens.session_id',
      'browser_sessions.ended_at',
    )
  return (
    row && {
      userId: fromUuid(row.user_id),
      browserSessionId: fromUuid(row.browser_session_id),
      browserSessionLive: row.ended_at === null,
      createdAt: row.created_at,
      authenticatedAt: row.authenticated_at,
      expiresAt: row.expires_at,
      consumedAt: row.consumed_at,
      sessionId: row.session_id && fromUuid(row.session_id),
    }
  )
}

/** Uses a login token up by one conditional UPDATE: of twenty at once one gets true (invariant 4). */
export async function consumeLoginToken(
  trx: Knex,
  hash: Buffer,
  sessionId: string,
  now: Date,
): Promise<boolean> {
  const changed = await trx('login_tokens')
    .where({ hash })
    .whereNull('consumed_at')
    .where('expires_at', '>', now)
    .update({ consumed_at: now, session_id: toUuid(sessionId) })
  return changed === 1
}
