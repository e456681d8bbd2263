import type { Client } from 'pg'
import { fromUuid } from '../../ids.ts'
import { byteaArray } from '../../storage/bytea-array.ts'

/** All that an introspection answer is made of: one token with its session and its user. Times in milliseconds. */
export interface IntrospectedToken {
  kind: 'access' | 'refresh'
  createdAt: number
  expiresAt: number | null
  consumed: boolean
  /** As the database writes it: it is given back as it came. */
  sessionUuid: string
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
  select a.n, t.kind, date_part('epoch', t.created_at), date_part('epoch', t.expires_at),
         t.consumed_at is not null,
         s.id, s.kind, s.ended_at is not null, date_part('epoch', s.expires_at), s.scope, s.client_id, s.device_id,
         s.user_id, u.localpart, u.locked_at is not null, u.deactivated_at is not null
    from unnest($1::bytea[]) with ordinality as a(hash, n)
    join tokens t on t.hash = a.hash
    join sessions s on s.id = t.session_id
    left join users u on u.id = s.user_id`

/** The columns in their order, as PostgreSQL writes them: what a row costs here is paid by every request. */
type Row = [
  place: string,
  kind: 'access' | 'refresh',
  createdAt: string,
  expiresAt: string | null,
  consumed: string,
  sessionUuid: string,
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
 * Looks up many tokens in one prepared statement.
 * @param hashes in hexadecimal
 * @returns the tokens in the order of their hashes
 */
export async function lookUpTokens(
  client: Client,
  hashes: readonly string[],
): Promise<(IntrospectedToken | undefined)[]> {
  const { rows } = await client.query<Row>({
    name: 'introspect',
    text: LOOKUP,
    values: [byteaArray(hashes)],
    rowMode: 'array',
    types: asWritten,
  })
  const found = new Array<IntrospectedToken | undefined>(hashes.length)
  for (const row of rows) found[Number(row[0]) - 1] = toToken(row)
  return found
}

function toToken(row: Row): IntrospectedToken {
  return {
    kind: row[1],
    createdAt: Number(row[2]) * 1000,
    expiresAt: row[3] === null ? null : Number(row[3]) * 1000,
    consumed: row[4] === 't',
    sessionUuid: row[5],
    sessionKind: row[6],
    sessionEnded: row[7] === 't',
    sessionExpiresAt: row[8] === null ? null : Number(row[8]) * 1000,
    scope: row[9],
    clientId: row[10],
    deviceId: row[11],
    userId: row[12] && fromUuid(row[12]),
    localpart: row[13],
    userLocked: row[14] === 't',
    userDeactivated: row[15] === 't',
  }
}
