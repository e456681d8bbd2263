import type { Client } from 'pg'
import { fromUuid } from '../../ids.ts'
import { byteaArray } from '../../storage/bytea-array.ts'

/** All that an introspection answer is made of: one token with its session and its user. Times in milliseconds. */
export interface IntrospectedToken {
  kind: 'access' | 'refresh'
  createdAt: number
  expiresAt: number | null
  consumed: boolean
  firstUsed: boolean
  sessionId: string
  sessionKind: 'oauth' | 'compat' | 'personal'
  sessionEnded: boolean
  sessionExpiresAt: number | null
  scope: string
  clientId: string | null
  deviceId: string | null
  userId: string | null
  localpart: string | null
  userLocked: boolean
  userDeactivated: boolean
}

const LOOKUP = `
  select t.hash, t.kind, date_part('epoch', t.created_at), date_part('epoch', t.expires_at),
         t.consumed_at is not null, t.first_used_at is not null,
         s.id, s.kind, s.ended_at is not null, date_part('epoch', s.expires_at), s.scope, s.client_id, s.device_id,
         u.id, u.localpart, u.locked_at is not null, u.deactivated_at is not null
    from tokens t
    join sessions s on s.id = t.session_id
    left join users u on u.id = s.user_id
   where t.hash = any($1::bytea[])`

/** The columns in their order, as PostgreSQL writes them: what a row costs here is paid by every request. */
type Row = [
  hash: string,
  kind: 'access' | 'refresh',
  createdAt: string,
  expiresAt: string | null,
  consumed: string,
  firstUsed: string,
  sessionId: string,
  sessionKind: 'oauth' | 'compat' | 'personal',
  sessionEnded: string,
  sessionExpiresAt: string | null,
  scope: string,
  clientId: string | null,
  deviceId: string | null,
  userId: string | null,
  localpart: string | null,
  userLocked: string,
  userDeactivated: string,
]

const asWritten = { getTypeParser: () => (text: string | Buffer) => text }

/**
 * Makes PostgreSQL plan the lookup once, by the indexes: it would plan it anew for small batches, which costs more
 * than the lookup, or read a whole table that was small when it planned.
 */
export async function prepareLookups(client: Client): Promise<void> {
  await client.query(
    'set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off',
  )
}

/** Looks up many tokens in one prepared statement. The map's keys are the hashes in hexadecimal. */
export async function lookUpTokens(
  client: Client,
  hashes: Buffer[],
): Promise<Map<string, IntrospectedToken>> {
  const { rows } = await client.query<Row>({
    name: 'introspect',
    text: LOOKUP,
    values: [byteaArray(hashes)],
    rowMode: 'array',
    types: asWritten,
  })
  const found = new Map<string, IntrospectedToken>()
  for (const row of rows) found.set(row[0].slice(2), toToken(row))
  return found
}

function toToken(row: Row): IntrospectedToken {
  return {
    kind: row[1],
    createdAt: Number(row[2]) * 1000,
    expiresAt: row[3] === null ? null : Number(row[3]) * 1000,
    consumed: row[4] === 't',
    firstUsed: row[5] === 't',
    sessionId: fromUuid(row[6]),
    sessionKind: row[7],
    sessionEnded: row[8] === 't',
    sessionExpiresAt: row[9] === null ? null : Number(row[9]) * 1000,
    scope: row[10],
    clientId: row[11],
    deviceId: row[12],
    userId: row[13] && fromUuid(row[13]),
    localpart: row[14],
    userLocked: row[15] === 't',
    userDeactivated: row[16] === 't',
  }
}
