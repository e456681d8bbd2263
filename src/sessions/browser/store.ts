import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../../ids.ts'
import { toUser, type User, type UserRow } from '../../users/store.ts'

/** One browser that is signed in here. */
export interface BrowserSession {
  id: string
  userId: string
  createdAt: Date
  /** When the person last gave a credential: the `auth_time` of OpenID Connect. */
  authenticatedAt: Date
  lastActiveAt: Date
  lastActiveIp: string | null
  userAgent: string | null
}

interface BrowserSessionRow {
  id: string
  user_id: string
  created_at: Date
  authenticated_at: Date
  last_active_at: Date
  last_active_ip: string | null
  user_agent: string | null
}

const COLUMNS = [
  'browser_sessions.id',
  'browser_sessions.user_id',
  'browser_sessions.created_at',
  'browser_sessions.authenticated_at',
  'browser_sessions.last_active_at',
  'browser_sessions.last_active_ip',
  'browser_sessions.user_agent',
] as const

function toBrowserSession(row: BrowserSessionRow): BrowserSession {
  return {
    id: fromUuid(row.id),
    userId: fromUuid(row.user_id),
    createdAt: row.created_at,
    authenticatedAt: row.authenticated_at,
    lastActiveAt: row.last_active_at,
    lastActiveIp: row.last_active_ip,
    userAgent: row.user_agent,
  }
}

/** Returns false, and inserts nothing, where a session with this cookie exists already. */
export async function insertBrowserSession(
  db: Knex,
  session: BrowserSession & { cookieHash: Buffer },
): Promise<boolean> {
  const inserted: unknown[] = await db('browser_sessions')
    .insert({
      id: toUuid(session.id),
      user_id: toUuid(session.userId),
      cookie_hash: session.cookieHash,
      created_at: session.createdAt,
      authenticated_at: session.authenticatedAt,
      last_active_at: session.lastActiveAt,
      last_active_ip: session.lastActiveIp,
      user_agent: session.userAgent,
    })
    .onConflict('cookie_hash')
    .ignore()
    .returning('id')
  return inserted.length === 1
}

/** The live session of a cookie, with its user; none where the user is deactivated. */
export async function findByCookieHash(
  db: Knex,
  cookieHash: Buffer,
): Promise<{ session: BrowserSession; user: User } | undefined> {
  const row = await db('browser_sessions')
    .join('users', 'users.id', 'browser_sessions.user_id')
    .where('cookie_hash', cookieHash)
    .whereNull('ended_at')
    .whereNull('users.deactivated_at')
    .first<BrowserSessionRow & Omit<UserRow, 'id'> & { user_created_at: Date }>(
      ...COLUMNS,
      'users.localpart',
      'users.created_at as user_created_at',
      'users.locked_at',
      'users.deactivated_at',
      'users.is_admin',
      'users.provisioned_at',
    )
  if (!row) return undefined
  return {
    session: toBrowserSession(row),
    user: toUser({ ...row, id: row.user_id, created_at: row.user_created_at }),
  }
}

/** A live session by its ID. */
export async function findBrowserSession(db: Knex, id: string): Promise<BrowserSession | undefined> {
  const row = await db('browser_sessions')
    .where('id', toUuid(id))
    .whereNull('ended_at')
    .first<BrowserSessionRow>(COLUMNS)
  return row && toBrowserSession(row)
}

/** A user's live sessions, the most recently active first. */
export async function listBrowserSessions(db: Knex, userId: string): Promise<BrowserSession[]> {
  const rows = await db('browser_sessions')
    .where('user_id', toUuid(userId))
    .whereNull('ended_at')
    .orderBy([{ column: 'last_active_at', order: 'desc' }, 'id'])
    .select<BrowserSessionRow[]>(COLUMNS)
  return rows.map(toBrowserSession)
}

/** Gives a live session another cookie; of two that come with the same old one, one gets the session. */
export async function replaceCookie(
  db: Knex,
  { oldHash, newHash, at }: { oldHash: Buffer; newHash: Buffer; at: Date },
): Promise<BrowserSession | undefined> {
  const rows = await db('browser_sessions')
    .where('cookie_hash', oldHash)
    .whereNull('ended_at')
    .update({ cookie_hash: newHash, authenticated_at: at, last_active_at: at })
    .returning<BrowserSessionRow[]>([...COLUMNS])
  return rows[0] && toBrowserSession(rows[0])
}

/** Ends a live session; undefined where it has ended already. */
export async function endBrowserSession(db: Knex, id: string, at: Date): Promise<BrowserSession | undefined> {
  const rows = await db('browser_sessions')
    .where('id', toUuid(id))
    .whereNull('ended_at')
    .update({ ended_at: at })
    .returning<BrowserSessionRow[]>([...COLUMNS])
  return rows[0] && toBrowserSession(rows[0])
}

/** Ends a user's live sessions, except one. */
export async function endBrowserSessionsOf(
  db: Knex,
  userId: string,
  at: Date,
  exceptId: string | undefined,
): Promise<BrowserSession[]> {
  const query = db('browser_sessions').where('user_id', toUuid(userId)).whereNull('ended_at')
  if (exceptId !== undefined) query.whereNot('id', toUuid(exceptId))
  const rows = await query.update({ ended_at: at }).returning<BrowserSessionRow[]>([...COLUMNS])
  return rows.map(toBrowserSession)
}

/** Notes that a session was used, unless that was noted after `ifBefore`: not every request needs a write. */
export async function touchBrowserSession(
  db: Knex,
  id: string,
  { at, ip, ifBefore }: { at: Date; ip: string; ifBefore: Date },
): Promise<void> {
  await db('browser_sessions')
    .where('id', toUuid(id))
    .whereNull('ended_at')
    .where((query) =>
      query.where('last_active_at', '<', ifBefore).orWhereRaw('last_active_ip is distinct from ?', [ip]),
    )
    .update({ last_active_at: at, last_active_ip: ip })
}
