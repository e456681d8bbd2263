import type { Client } from 'pg'
import { SYNAPSE_ADMIN_SCOPE } from '../../../../oauth/scopes.ts'
import { DEACTIVATED, NO_USER } from '../addresses/store.ts'
import { GUEST } from '../devices/store.ts'

const COMMON_PROBLEMS = `
  when m.id is null then '${NO_USER}'
  when m.deactivated then '${DEACTIVATED}'
  when m.guest then '${GUEST}'
  when t.known_form is not true then 'is not a token in a form that Synapse made'`

/** Decides about every token: `moved_access` and `moved_refresh`, where `known` rows are here already. */
export async function resolveTokens(client: Client, now: Date): Promise<void> {
  await client.query(
    `create unlogged table moved_access as
     select t.id, t.hash, t.valid_until_ms, t.used, r.hash as refresh_hash, m.id as owner, m.admin, k.hash is not null as known,
            f.created_at, t.device_id is null as deviceless,
            case when t.device_id is null then pg_temp.new_id(f.created_at, t.id::text) else d.session_id end as session_id,
            case when t.puppets_user_id is not null then 'an administrator made it to act as another user'
                 ${COMMON_PROBLEMS}
                 when t.device_id is not null and d.session_id is null then 'its device is gone or set aside'
            end as problem
       from synapse_access_tokens t
       left join moved_users m on m.user_id = t.user_id
       left join moved_devices d on d.user_id = t.user_id and d.device_id = t.device_id
       left join synapse_refresh_tokens r on r.id = t.refresh_token_id
       left join tokens k on k.hash = t.hash
       cross join lateral (
         select coalesce(pg_temp.time_of(t.last_validated), d.created_at, m.created_at, $1) as created_at
       ) f`,
    [now],
  )
  await client.query(
    `create unlogged table moved_refresh as
     select t.id, t.hash, t.expiry_ts, t.next_token_id, n.hash as successor_hash, u.sealed,
            d.session_id, coalesce(a.created_at, d.created_at) as created_at, a.used, a.hash as access_hash,
            k.hash is not null as known,
            case ${COMMON_PROBLEMS}
                 when d.session_id is null then 'its device is gone or set aside'
                 when t.next_token_id is not null and n.id is null then 'it was exchanged for a token that is gone'
            end as problem
       from synapse_refresh_tokens t
       left join moved_users m on m.user_id = t.user_id
       left join moved_devices d on d.user_id = t.user_id and d.device_id = t.device_id
       left join synapse_refresh_tokens n on n.id = t.next_token_id
       left join synapse_unused_successors u on u.id = t.id
       left join (
         select refresh_token_id, bool_or(used) as used, pg_temp.time_of(min(last_validated)) as created_at,
                case when count(*) = 1 then (array_agg(hash))[1] end as hash
           from synapse_access_tokens where refresh_token_id is not null group by refresh_token_id
       ) a on a.refresh_token_id = t.id
       left join tokens k on k.hash = t.hash`,
  )
  await client.query(`
    insert into set_aside select 'access_tokens', id::text, problem from moved_access where problem is not null;
    insert into set_aside select 'refresh_tokens', id::text, problem from moved_refresh where problem is not null`)
}

/**
 * Writes the tokens. An access token without a device gets a session without one. A refresh token that was exchanged is
 * a consumed one here, with its successor: until that is used, the same refresh may be asked for again.
 */
export async function writeTokens(client: Client, now: Date): Promise<void> {
  await client.query(
    `insert into sessions (id, kind, user_id, scope, created_at, last_active_at, imported_at)
     select session_id, 'compat', owner, case when admin then $1 else '' end, created_at, created_at, $2
       from moved_access where problem is null and not known and deviceless`,
    [SYNAPSE_ADMIN_SCOPE, now],
  )
  await client.query(
    `insert into tokens (hash, session_id, kind, created_at, expires_at, refresh_hash, first_used_at,
                         access_hash, consumed_at, successor_hash, successor_sealed)
     select hash, session_id, 'access', created_at, pg_temp.end_of(valid_until_ms), refresh_hash,
            case when used then created_at end, null, null, null, null
       from moved_access where problem is null and not known
     union all
     select hash, session_id, 'refresh', created_at, pg_temp.end_of(expiry_ts), null,
            case when used then created_at end, access_hash,
            case when next_token_id is not null then $1::timestamptz end, successor_hash, sealed
       from moved_refresh where problem is null and not known`,
    [now],
  )
}
