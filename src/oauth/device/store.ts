import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../../ids.ts'

/** A device that asks to be let in, and what a person decided. */
export interface DeviceRequest {
  codeHash: Buffer
  clientId: string
  scope: string
  createdAt: Date
  expiresAt: Date
  ip: string | null
  userAgent: string | null
  status: 'pending' | 'approved' | 'denied'
  userId: string | null
  browserSessionId: string | null
  authenticatedAt: Date | null
  consumedAt: Date | null
}

interface DeviceRow {
  code_hash: Buffer
  client_id: string
  scope: string
  created_at: Date
  expires_at: Date
  ip: string | null
  user_agent: string | null
  status: DeviceRequest['status']
  user_id: string | null
  browser_session_id: string | null
  authenticated_at: Date | null
  consumed_at: Date | null
}

const COLUMNS = [
  'code_hash',
  'client_id',
  'scope',
  'created_at',
  'expires_at',
  'ip',
  'user_agent',
  'status',
  'user_id',
  'browser_session_id',
  'authenticated_at',
  'consumed_at',
] as const satisfies (keyof DeviceRow)[]

function toRequest(row: DeviceRow): DeviceRequest {
  return {
    codeHash: row.code_hash,
    clientId: row.client_id,
    scope: row.scope,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    ip: row.ip,
    userAgent: row.user_agent,
    status: row.status,
    userId: row.user_id && fromUuid(row.user_id),
    browserSessionId: row.browser_session_id && fromUuid(row.browser_session_id),
    authenticatedAt: row.authenticated_at,
    consumedAt: row.consumed_at,
  }
}

export interface NewDeviceRequest {
  codeHash: Buffer
  userCodeHash: Buffer
  clientId: string
  scope: string
  createdAt: Date
  expiresAt: Date
  intervalSeconds: number
  ip: string
  userAgent: string | null
}

/** Returns false, and inserts nothing, where the user code is in use. */
export async function insertDeviceRequest(db: Knex, request: NewDeviceRequest): Promise<boolean> {
  const inserted: unknown[] = await db('device_codes')
    .insert({
      code_hash: request.codeHash,
      user_code_hash: request.userCodeHash,
      client_id: request.clientId,
      scope: request.scope,
      created_at: request.createdAt,
      expires_at: request.expiresAt,
      interval_seconds: request.intervalSeconds,
      ip: request.ip,
      user_agent: request.userAgent,
    })
    .onConflict('user_code_hash')
    .ignore()
    .returning('code_hash')
  return inserted.length === 1
}

export async function findByDeviceCode(db: Knex, codeHash: Buffer): Promise<DeviceRequest | undefined> {
  const row = await db<DeviceRow>('device_codes')
    .where({ code_hash: codeHash })
    .first(...COLUMNS)
  return row && toRequest(row)
}

/** A request that still waits for a person. */
export async function findPendingByUserCode(
  db: Knex,
  hash: Buffer,
  now: Date,
): Promise<DeviceRequest | undefined> {
  const row = await db<DeviceRow & { user_code_hash: Buffer }>('device_codes')
    .where({ user_code_hash: hash, status: 'pending' })
    .where('expires_at', '>', now)
    .first(...COLUMNS)
  return row && toRequest(row)
}

/**
 * Notes a poll. False where it came sooner than the interval allows, which then grows by five seconds (RFC 8628
 * §3.5): one UPDATE decides, also for polls that come at once.
 */
export async function notePoll(db: Knex, codeHash: Buffer, now: Date): Promise<boolean> {
  const result = await db.raw<{ rows: { early: boolean }[] }>(
    `update device_codes d
        set last_polled_at = ?,
            interval_seconds = d.interval_seconds + case when old.early then 5 else 0 end
       from (select code_hash,
                    coalesce(last_polled_at + make_interval(secs => interval_seconds) > ?, false) as early
               from device_codes where code_hash = ? for update) old
      where d.code_hash = old.code_hash
      returning old.early`,
    [now, now, codeHash],
  )
  return result.rows[0]?.early !== true
}

export interface Decision {
  codeHash: Buffer
  status: 'approved' | 'denied'
  userId: string
  browserSessionId: string
  authenticatedAt: Date
  now: Date
}

/** Decides a request once: false where it is no longer pending. */
export async function decide(db: Knex, decision: Decision): Promise<boolean> {
  const count = await db('device_codes')
    .where({ code_hash: decision.codeHash, status: 'pending' })
    .where('expires_at', '>', decision.now)
    .update({
      status: decision.status,
      user_id: toUuid(decision.userId),
      browser_session_id: toUuid(decision.browserSessionId),
      authenticated_at: decision.authenticatedAt,
    })
  return count === 1
}

/** Consumes an approved code by one conditional UPDATE: of twenty at once one gets true (invariant 4). */
export async function consumeDeviceCode(
  db: Knex,
  codeHash: Buffer,
  sessionId: string,
  now: Date,
): Promise<boolean> {
  const count = await db('device_codes')
    .where({ code_hash: codeHash, status: 'approved' })
    .whereNull('consumed_at')
    .where('expires_at', '>', now)
    .update({ consumed_at: now, session_id: toUuid(sessionId) })
  return count === 1
}
