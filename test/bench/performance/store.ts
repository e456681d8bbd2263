import type pg from 'pg'
import { accessToken, hashOf, refreshToken } from './tokens.ts'

/** The app that all sessions belong to: public, so that a refresh is the one statement. */
export const CLIENT_ID = '01JD0000000000000000000000'
export const PASSWORD = 'correct horse battery staple'

const SESSIONS_A_USER = 10
const CHUNK = 20_000

export const userName = (n: number) => `person${n}`

/**
 * Fills a database with `tokens` tokens: a session for every two of them (access and refresh), a user for every ten
 * sessions. Nobody has used an access token yet, which is the worst case: each first use is written.
 */
export async function fill(client: pg.Client, tokens: number, passwordHash: string): Promise<void> {
  const sessions = Math.ceil(tokens / 2)
  const users = Math.ceil(sessions / SESSIONS_A_USER)
  const uuid = (kind: number, n: string) => `('${kind}' || lpad(to_hex(${n}), 31, '0'))::uuid`
  await client.query('drop index tokens_session, tokens_expiry')
  await client.query(
    `insert into clients (client_id, kind, auth_method, metadata, created_at)
     values ($1, 'dynamic', 'none', '{"client_name":"Bench"}', now())`,
    [CLIENT_ID],
  )
  await client.query(
    `insert into users (id, localpart, created_at, provisioned_at)
     select ${uuid(1, 'n')}, '${userName(0).slice(0, -1)}' || n, now(), now() from generate_series(0, ${users - 1}) n`,
  )
  await client.query(
    `insert into user_passwords (user_id, hash, created_at) select id, $1, now() from users`,
    [passwordHash],
  )
  await client.query(
    `insert into sessions (id, kind, user_id, client_id, device_id, scope, created_at, last_active_at)
     select ${uuid(2, 'n')}, 'oauth', ${uuid(1, `n / ${SESSIONS_A_USER}`)}, $1, 'DEVICE' || n,
            'openid urn:matrix:client:api:* urn:matrix:client:device:DEVICE' || n, now(), now()
       from generate_series(0, ${sessions - 1}) n`,
    [CLIENT_ID],
  )
  for (let from = 0; from < sessions; from += CHUNK) {
    const numbers = Array.from({ length: Math.min(CHUNK, sessions - from) }, (_, n) => from + n)
    await client.query(
      `insert into tokens (hash, session_id, kind, created_at, expires_at, refresh_hash)
       select t.hash, ${uuid(2, 't.n')}, t.kind, now(), t.expires_at, t.refresh_hash
         from unnest($1::integer[], $2::bytea[], $3::bytea[]) as pair(n, access, refresh),
              lateral (values (pair.n, pair.access, 'access', now() + interval '1 day', pair.refresh),
                              (pair.n, pair.refresh, 'refresh', null, null)) as t(n, hash, kind, expires_at, refresh_hash)`,
      [numbers, numbers.map((n) => hashOf(accessToken(n))), numbers.map((n) => hashOf(refreshToken(n)))],
    )
  }
  await client.query('create index tokens_session on tokens (session_id)')
  await client.query('create index tokens_expiry on tokens (expires_at) where expires_at is not null')
  await client.query('vacuum analyze')
  await client.query('checkpoint')
}
