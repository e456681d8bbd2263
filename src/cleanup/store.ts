import type { Knex } from 'knex'

/** Rows a statement deletes at the most: long deletes would hold locks and grow the log in one go. */
const BATCH = 5000
const MAX_BATCHES = 200

async function inBatches(db: Knex, sql: string, bindings: (Date | number)[]): Promise<number> {
  let total = 0
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const { rowCount } = await db.raw<{ rowCount: number }>(sql, [...bindings, BATCH])
    total += rowCount
    if (rowCount < BATCH) break
  }
  return total
}

/** Leaves out what somebody holds: it is not over, or goes the next time. Waiting for it could be a deadlock. */
function deleteWhere(table: string, key: string, condition: string): string {
  return `delete from ${table} where (${key}) in (select ${key} from ${table} where ${condition} limit ? for update skip locked)`
}

/** Interactions, grants and codes that expired before a time. */
export function deleteOidcRecords(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('oidc_records', 'model, id_hash', 'expires_at < ?'), [before])
}

export function deleteDeviceCodes(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('device_codes', 'code_hash', 'expires_at < ?'), [before])
}

export function deleteTickets(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('tickets', 'hash', 'expires_at < ?'), [before])
}

export function deleteLoginTokens(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('login_tokens', 'hash', 'expires_at < ?'), [before])
}

export function deleteInteractiveAuth(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('interactive_auth', 'hash', 'expires_at < ?'), [before])
}

/** Counters whose time is over, in milliseconds. */
export function deleteRateLimits(db: Knex, beforeMs: number): Promise<number> {
  return inBatches(db, deleteWhere('rate_limits', 'key', 'expire < ?'), [beforeMs])
}

/** Access tokens that expired or were superseded before a time. */
export function deleteAccessTokens(db: Knex, before: Date): Promise<number> {
  const condition = `kind = 'access' and (expires_at < ? or consumed_at < ?)`
  return inBatches(db, deleteWhere('tokens', 'hash', condition), [before, before])
}

/**
 * Refresh tokens that were consumed before a time and whose successor was consumed too: until then the token must
 * still be able to answer with its successor, however long the client stays away.
 */
export function deleteRefreshTokens(db: Knex, before: Date): Promise<number> {
  const condition = `kind = 'refresh' and consumed_at < ?
    and exists (select 1 from tokens s where s.hash = tokens.successor_hash and s.consumed_at is not null)`
  return inBatches(db, deleteWhere('tokens', 'hash', condition), [before])
}

/** Takes away sealed successors that were used: nobody can ask for them again. */
export function wipeSealedSuccessors(db: Knex, before: Date): Promise<number> {
  return inBatches(
    db,
    `update tokens set successor_sealed = null where hash in (
       select t.hash from tokens t
         join tokens s on s.hash = t.successor_hash
         join sessions on sessions.id = s.session_id
        where t.successor_sealed is not null and t.consumed_at < ?
          and (s.consumed_at is not null or s.first_used_at is not null or sessions.used_access_hash = s.access_hash)
        limit ?)`,
    [before],
  )
}

/** Sessions that ended before a time, with their tokens. */
export function deleteEndedSessions(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('sessions', 'id', 'ended_at < ?'), [before])
}

export function deleteEndedBrowserSessions(db: Knex, before: Date): Promise<number> {
  return inBatches(db, deleteWhere('browser_sessions', 'id', 'ended_at < ?'), [before])
}
