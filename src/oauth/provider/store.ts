import type { Knex } from 'knex'
import { errors } from 'oidc-provider'
import { fromUuid, toUuid } from '../../ids.ts'

/** A row that oidc-provider keeps: an interaction, a grant or an authorization code. */
export interface OidcRecord {
  payload: Record<string, unknown>
  expiresAt: Date
  consumedAt: Date | null
  sessionId: string | null
}

/** Writes a record under the hash of its ID. */
export async function upsertRecord(
  db: Knex,
  model: string,
  idHash: Buffer,
  payload: Record<string, unknown>,
  expiresAt: Date,
): Promise<void> {
  await db('oidc_records')
    .insert({ model, id_hash: idHash, payload: JSON.stringify(payload), expires_at: expiresAt })
    .onConflict(['model', 'id_hash'])
    .merge(['payload', 'expires_at'])
}

/** Writes a record that must not exist yet. @throws InvalidClient where it does */
export async function insertRecord(
  db: Knex,
  model: string,
  idHash: Buffer,
  payload: Record<string, unknown>,
  expiresAt: Date,
): Promise<void> {
  const rows = await db('oidc_records')
    .insert({ model, id_hash: idHash, payload: JSON.stringify(payload), expires_at: expiresAt })
    .onConflict(['model', 'id_hash'])
    .ignore()
    .returning('model')
  if (rows.length === 0) throw new errors.InvalidClient('client authentication failed', 'used already')
}

/**
 * Uses up a pushed authorization request by one conditional UPDATE: the library looks first and writes later, and of
 * two sign-ins that came from one request only one may get a code (RFC 9126 §4, invariant 4).
 * @throws InvalidRequestUri where it was used already
 */
export async function consumePushedRequest(
  db: Knex,
  model: string,
  idHash: Buffer,
  now: Date,
): Promise<void> {
  const count = await db('oidc_records')
    .where({ model, id_hash: idHash })
    .whereNull('consumed_at')
    .update({ consumed_at: now })
  if (count === 0) throw new errors.InvalidRequestUri('request_uri was already used')
}

/** A record by the hash of its ID, expired or consumed ones too. */
export async function findRecord(db: Knex, model: string, idHash: Buffer): Promise<OidcRecord | undefined> {
  const row = await db('oidc_records')
    .where({ model, id_hash: idHash })
    .first('payload', 'expires_at', 'consumed_at', 'session_id')
  return (
    row && {
      payload: row.payload,
      expiresAt: row.expires_at,
      consumedAt: row.consumed_at,
      sessionId: row.session_id && fromUuid(row.session_id),
    }
  )
}

/**
 * Consumes a record by one conditional UPDATE and remembers the session that it was consumed for: of twenty at
 * once one gets true (invariant 4).
 */
export async function consumeRecord(
  db: Knex,
  model: string,
  idHash: Buffer,
  sessionId: string,
  now: Date,
): Promise<boolean> {
  const count = await db('oidc_records')
    .where({ model, id_hash: idHash })
    .whereNull('consumed_at')
    .where('expires_at', '>', now)
    .update({ consumed_at: now, session_id: toUuid(sessionId) })
  return count === 1
}

/** Deletes a record. */
export async function deleteRecord(db: Knex, model: string, idHash: Buffer): Promise<void> {
  await db('oidc_records').where({ model, id_hash: idHash }).delete()
}
