import type { Knex } from 'knex'
import type { Client } from 'pg'
import { byteaArray } from '../../storage/bytea-array.ts'
import { queryPrepared } from '../../storage/prepared.ts'

/** Who presents a refresh token, and through which door. */
export interface RefreshCaller {
  kind: 'oauth' | 'compat'
  /** OAuth only: the client that says it owns the token. */
  clientId: string | null
  /** Whether that client has proved its identity; a public client cannot, a confidential one must. */
  authenticated: boolean
}

/** A refresh token to be exchanged, and what it is to be exchanged for; hashes only. */
export interface Rotation {
  presentedHash: Buffer
  sealedSuccessor: Buffer
  accessHash: Buffer
  refreshHash: Buffer
  caller: RefreshCaller
}

/** The moment of a refresh, and when the access tokens that it makes expire. */
export interface RotationTimes {
  now: Date
  accessExpiresAt: Date
}

/**
 * The common case of a refresh in one statement, which is its own transaction: consume the presented token, supersede the
 * access token of its pair and insert both successors. It does so for many people at once, since the commit costs most. The
 * conditional UPDATE makes it single use: of twenty at once one gets a row (invariant 4). Everything that is not the common
 * case yields no row, a token or session that somebody else holds included: nobody waits for somebody else's affairs.
 */
const ROTATE = `
  with asked as (
    select * from unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::boolean[])
             with ordinality as a(presented, sealed, access, refresh, kind, client_id, authenticated, n)
  ), current as (
    select a.*, t.session_id, t.access_hash, s.scope
      from asked a
      join tokens t on t.hash = a.presented
      join sessions s on s.id = t.session_id
      left join users u on u.id = s.user_id
      left join clients c on c.client_id = s.client_id
     where t.kind = 'refresh' and t.consumed_at is null and (t.expires_at is null or t.expires_at > $8)
       and s.kind = a.kind and s.ended_at is null and (s.expires_at is null or s.expires_at > $8)
       and (a.kind <> 'oauth' or (s.client_id = a.client_id
            and (c.auth_method = 'none' or (c.client_id is not null and a.authenticated))))
       and u.locked_at is null and u.deactivated_at is null
       for no key update of t skip locked for key share of s skip locked
  ), presented as (
    update tokens t
       set consumed_at = $8, successor_hash = c.refresh, successor_sealed = c.sealed
      from current c
     where t.hash = c.presented
    returning c.*
  ), superseded as (
    update tokens a set consumed_at = $8 from presented p where a.hash = p.access_hash and a.consumed_at is null
  ), superseded_older as (
    -- An older version, or an import, did not note the pair's access token: it is looked for in its session.
    update tokens a set consumed_at = $8
      from presented p
     where p.access_hash is null and a.session_id = p.session_id and a.kind = 'access' and a.refresh_hash = p.presented
       and a.consumed_at is null
  ), successors as (
    insert into tokens (hash, session_id, kind, created_at, expires_at, refresh_hash, access_hash)
    select access, session_id, 'access', $8::timestamptz, $9::timestamptz, refresh, null from presented
    union all
    select refresh, session_id, 'refresh', $8::timestamptz, null, null, access from presented
  )
  select n, scope from presented`

type RotatedRow = [n: string, scope: string]

function rotateStatement(rotations: readonly Rotation[], { now, accessExpiresAt }: RotationTimes) {
  return {
    name: 'rotate-refresh-tokens',
    text: ROTATE,
    values: [
      byteaArray(rotations.map(({ presentedHash }) => presentedHash)),
      byteaArray(rotations.map(({ sealedSuccessor }) => sealedSuccessor)),
      byteaArray(rotations.map(({ accessHash }) => accessHash)),
      byteaArray(rotations.map(({ refreshHash }) => refreshHash)),
      rotations.map(({ caller }) => caller.kind),
      rotations.map(({ caller }) => caller.clientId),
      rotations.map(({ caller }) => caller.authenticated),
      now,
      accessExpiresAt,
    ],
  }
}

/**
 * Rotates current refresh tokens, each of its own session.
 * @returns the scope of each session, in their order; undefined for a token that is not plainly current (see
 *   `findRefreshTokenForUpdate`)
 */
export async function rotateMany(
  client: Client,
  rotations: readonly Rotation[],
  times: RotationTimes,
): Promise<(string | undefined)[]> {
  const { rows } = await client.query<RotatedRow>({ ...rotateStatement(rotations, times), rowMode: 'array' })
  const scopes: (string | undefined)[] = rotations.map(() => undefined)
  for (const [n, scope] of rows) scopes[Number(n) - 1] = scope
  return scopes
}

/** The same for one token, in a transaction. */
export async function rotate(
  trx: Knex,
  rotation: Rotation,
  times: RotationTimes,
): Promise<string | undefined> {
  const { name, text, values } = rotateStatement([rotation], times)
  const [row] = await queryPrepared<{ scope: string }>(trx, name, text, values)
  return row?.scope
}
