import type { Knex } from 'knex'
import { toUuid } from '../../ids.ts'

/** What an interactive authentication is bound to. */
export interface Bound {
  /** Of its ID; only the hash is stored. */
  hash: Buffer
  /** The session of the access token that asked. */
  sessionId: string
  requestHash: Buffer
}

export async function insertInteractiveAuth(
  db: Knex,
  { hash, sessionId, requestHash, createdAt, expiresAt }: Bound & { createdAt: Date; expiresAt: Date },
): Promise<void> {
  await db('interactive_auth').insert({
    hash,
    session_id: toUuid(sessionId),
    request_hash: requestHash,
    created_at: createdAt,
    expires_at: expiresAt,
  })
}

function open(db: Knex, { hash, sessionId, requestHash }: Bound, now: Date) {
  return db('interactive_auth')
    .where({ hash, session_id: toUuid(sessionId), request_hash: requestHash })
    .whereNull('consumed_at')
    .where('expires_at', '>', now)
}

/** Whether it waits for this session's password for this request. */
export async function isInteractiveAuthOpen(db: Knex, bound: Bound, now: Date): Promise<boolean> {
  return (await open(db, bound, now).first('hash')) !== undefined
}

/** Uses it up by one conditional UPDATE: of twenty at once one gets true (invariant 4). */
export async function consumeInteractiveAuth(trx: Knex, bound: Bound, now: Date): Promise<boolean> {
  return (await open(trx, bound, now).update({ consumed_at: now })) === 1
}
