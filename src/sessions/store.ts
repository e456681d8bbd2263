import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../ids.ts'
import { byteaArray } from '../storage/bytea-array.ts'

export type SessionKind = 'oauth' | 'compat' | 'personal'

/** One user on one device through one door: the only thing that anyone lists, names or ends. */
export interface Session {
  id: string
  kind: SessionKind
  userId: string | null
  clientId: string | null
  deviceId: string | null
  scope: string
  browserSessionId: string | null
  createdAt: Date
  lastActiveAt: Date | null
  lastActiveIp: string | null
  userAgent: string | null
  name: string | null
  endedAt: Date | null
  endReason: string | null
}

interface SessionRow {
  id: string
  kind: SessionKind
  user_id: string | null
  client_id: string | null
  device_id: string | null
  scope: string
  browser_session_id: string | null
  created_at: Date
  last_active_at: Date | null
  last_active_ip: string | null
  user_agent: string | null
  name: string | null
  ended_at: Date | null
  end_reason: string | null
}

const COLUMNS = [
  'id',
  'kind',
  'user_id',
  'client_id',
  'device_id',
  'scope',
  'browser_session_id',
  'created_at',
  'last_active_at',
  'last_active_ip',
  'user_agent',
  'name',
  'ended_at',
  'end_reason',
] as const

function toSession(row: SessionRow): Session {
  return {
    id: fromUuid(row.id),
    kind: row.kind,
    userId: row.user_id && fromUuid(row.user_id),
    clientId: row.client_id,
    deviceId: row.device_id,
    scope: row.scope,
    browserSessionId: row.browser_session_id && fromUuid(row.browser_session_id),
    createdAt: row.created_at,
    lastActiveAt: row.last_active_at,
    lastActiveIp: row.last_active_ip,
    userAgent: row.user_agent,
    name: row.name,
    endedAt: row.ended_at,
    endReason: row.end_reason,
  }
}

/**
 * The live sessions of a user's apps that count towards a limit, the one that was not used for longest first. Those
 * of appservices and those that were issued by command (`personal`) don't.
 */
export async function listCountedSessions(db: Knex, userId: string, now: Date): Promise<Session[]> {
  const rows = await db('sessions')
    .where({ user_id: toUuid(userId) })
    .whereIn('kind', ['oauth', 'compat'])
    .whereNull('appservice')
    .whereNull('ended_at')
    .where((live) => live.whereNull('expires_at').orWhere('expires_at', '>', now))
    .orderByRaw('coalesce(last_active_at, created_at), id')
    .select<SessionRow[]>([...COLUMNS])
  return rows.map(toSession)
}

/**
 * Ends a session by one conditional UPDATE, which locks its row: of two enders one gets the session, the other
 * undefined (invariant 2).
 */
export async function markEnded(
  db: Knex,
  id: string,
  reason: string,
  now: Date,
): Promise<Session | undefined> {
  const rows = await db('sessions')
    .where({ id: toUuid(id) })
    .whereNull('ended_at')
    .update({ ended_at: now, end_reason: reason })
    .returning<SessionRow[]>([...COLUMNS])
  return rows[0] && toSession(rows[0])
}

/** The live session on a user's device, its row locked. */
export async function findLiveByDeviceForUpdate(
  trx: Knex,
  userId: string,
  deviceId: string,
): Promise<Session | undefined> {
  const row = await trx('sessions')
    .where({ user_id: toUuid(userId), device_id: deviceId })
    .whereNull('ended_at')
    .forUpdate()
    .first<SessionRow>([...COLUMNS])
  return row && toSession(row)
}

/** The live session on a user's device, or undefined. */
export async function findLiveByDevice(
  db: Knex,
  userId: string,
  deviceId: string,
): Promise<Session | undefined> {
  const row = await db('sessions')
    .where({ user_id: toUuid(userId), device_id: deviceId })
    .whereNull('ended_at')
    .first<SessionRow>([...COLUMNS])
  return row && toSession(row)
}

/** A session by its ID, ended or not. */
export async function findSession(db: Knex, id: string): Promise<Session | undefined> {
  const row = await db('sessions')
    .where({ id: toUuid(id) })
    .first<SessionRow>([...COLUMNS])
  return row && toSession(row)
}

/** A user's live sessions, the most recently active first. */
export async function listLiveSessions(db: Knex, userId: string): Promise<Session[]> {
  const rows = await db('sessions')
    .where({ user_id: toUuid(userId) })
    .whereNull('ended_at')
    .orderByRaw('coalesce(last_active_at, created_at) desc, id')
    .select<SessionRow[]>([...COLUMNS])
  return rows.map(toSession)
}

/**
 * The live sessions without a device that were started through a browser session, of clients that asked to be told
 * of their end (`backchannel_logout_uri`).
 */
export async function listWebsiteSessionsOfBrowser(
  db: Knex,
  browser: { id: string; userId: string },
): Promise<string[]> {
  const rows: { id: string }[] = await db('sessions')
    .join('clients', 'clients.client_id', 'sessions.client_id')
    // The user's ID leads to the index; the browser session's has none.
    .where({ user_id: toUuid(browser.userId), browser_session_id: toUuid(browser.id), device_id: null })
    .where('sessions.kind', 'oauth')
    .whereNull('ended_at')
    .whereRaw("clients.metadata ->> 'backchannel_logout_uri' is not null")
    .orderBy('sessions.id')
    .select('sessions.id')
  return rows.map((row) => fromUuid(row.id))
}

/** The next live sessions past their absolute or idle limit, at most `limit` of them. */
export async function listOverdueSessions(
  db: Knex,
  { now, idleBefore, limit }: { now: Date; idleBefore: Date | null; limit: number },
): Promise<string[]> {
  const rows: { id: string }[] = await db('sessions')
    .whereNull('ended_at')
    .where((query) => {
      query.where('expires_at', '<=', now)
      if (idleBefore) query.orWhereRaw('coalesce(last_active_at, created_at) < ?', [idleBefore])
    })
    .limit(limit)
    .select('id')
  return rows.map((row) => fromUuid(row.id))
}

/** A session that was seen in use. */
export interface SeenSession {
  /** As the database writes it. */
  uuid: string
  /** Of the access token that was used, in hexadecimal. */
  accessHash: string
  /** Milliseconds. */
  at: number
}

/**
 * Writes the last activity of many sessions in one statement, and the token that was used with it; neither goes backwards.
 * Sessions that somebody holds are left out: nobody waits for this, and this waits for nobody.
 */
export async function markActive(db: Knex, seen: readonly SeenSession[]): Promise<void> {
  await db.raw(
    `with seen as (
       select s.ctid, a.hash, to_timestamp(a.at / 1000) as at
         from unnest(?::uuid[], ?::bytea[], ?::float8[]) as a(id, hash, at)
         join sessions s on s.id = a.id
          for no key update of s skip locked
     )
     -- By their place, which nobody can change meanwhile: each was found by its key already.
     update sessions s
        set last_active_at = greatest(s.last_active_at, seen.at),
            used_access_hash = case when s.last_active_at > seen.at then s.used_access_hash else seen.hash end
       from seen where s.ctid = seen.ctid`,
    // Written out: node-postgres would quote each element of an array.
    [
      `{${seen.map(({ uuid }) => uuid)}}`,
      byteaArray(seen.map(({ accessHash }) => accessHash)),
      `{${seen.map(({ at }) => at)}}`,
    ],
  )
}

/** Whether anybody has ever let this client in. */
export async function wasEverUsed(db: Knex, clientId: string): Promise<boolean> {
  return (await db('sessions').where({ client_id: clientId }).first('id')) !== undefined
}
