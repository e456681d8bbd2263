import type { Client } from 'pg'
import { fromUuid } from '../../ids.ts'

/** All that an introspection answer is made of: one token with its session and its user. */
export interface IntrospectedToken {
  kind: 'access' | 'refresh'
  createdAt: Date
  expiresAt: Date | null
  consumed: boolean
  firstUsed: boolean
  sessionId: string
  sessionKind: 'oauth' | 'compat' | 'personal'
  sessionEnded: boolean
  sessionExpiresAt: Date | null
  scope: string
  clientId: string | null
  deviceId: string | null
  userId: string | null
  localpart: string | null
  userLocked: boolean
  userDeactivated: boolean
}

interface Row {
  hash: Buffer
  kind: 'access' | 'refresh'
  created_at: Date
  expires_at: Date | null
  consumed: boolean
  first_used: boolean
  session_id: string
  session_kind: 'oauth' | 'compat' | 'personal'
  ended: boolean
  session_expires_at: Date | null
  scope: string
  client_id: string | null
  device_id: string | null
  user_id: string | null
  localpart: string | null
  locked: boolean
  deactivated: boolean
}

const LOOKUP = `
  select t.hash, t.kind, t.created_at, t.expires_at, t.consumed_at is not null as consumed,
         t.first_used_at is not null as first_used,
         s.id as session_id, s.kind as session_kind, s.ended_at is not null as ended,
         s.expires_at as session_expires_at, s.scope, s.client_id, s.device_id,
         u.id as user_id, u.localpart, u.locked_at is not null as locked, u.deactivated_at is not null as deactivated
    from tokens t
    join sessions s on s.id = t.session_id
    left join users u on u.id = s.user_id
   where t.hash = any($1::bytea[])`

/** Looks up many tokens in one prepared statement. The map's keys are the hashes in hexadecimal. */
export async function lookUpTokens(
  client: Client,
  hashes: Buffer[],
): Promise<Map<string, IntrospectedToken>> {
  const { rows } = await client.query<Row>({ name: 'introspect', text: LOOKUP, values: [hashes] })
  return new Map(
    rows.map((row) => [
      row.hash.toString('hex'),
      {
        kind: row.kind,
        createdAt: row.created_at,
        expiresAt: row.expires_at,
        consumed: row.consumed,
        firstUsed: row.first_used,
        sessionId: fromUuid(row.session_id),
        sessionKind: row.session_kind,
        sessionEnded: row.ended,
        sessionExpiresAt: row.session_expires_at,
        scope: row.scope,
        clientId: row.client_id,
        deviceId: row.device_id,
        userId: row.user_id && fromUuid(row.user_id),
        localpart: row.localpart,
        userLocked: row.locked,
        userDeactivated: row.deactivated,
      },
    ]),
  )
}
