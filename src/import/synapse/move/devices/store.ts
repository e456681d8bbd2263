import type { Client } from 'pg'
import { SYNAPSE_ADMIN_SCOPE } from '../../../../oauth/scopes.ts'
import { DEACTIVATED, NO_USER } from '../addresses/store.ts'

/** What a guest's device and tokens come to: a guest's token was never stored, so nobody can present it. */
export const GUEST = 'the user is a guest, and guests cannot sign in any more'

/**
 * Decides about every device: `moved_devices` holds each with the session that it becomes, or has here already.
 * Device IDs: 1 to 255 characters, which is what Synapse takes from an introspection. U+FFFD stands for a NUL of SQLite's.
 */
export async function resolveDevices(client: Client, now: Date): Promise<void> {
  // Tables of their own, so that the work on each device is shared by several processes: a sum within the statement is not.
  await client.query(`
    create unlogged table device_starts as
    select user_id, device_id, min(last_validated) as signed_in_at
      from synapse_access_tokens where last_validated > 0 and puppets_user_id is null and device_id is not null
     group by user_id, device_id;
    create unlogged table device_ends as
    select user_id, device_id, max(pg_temp.end_of(ultimate_session_expiry_ts)) as ends_at
      from synapse_refresh_tokens where ultimate_session_expiry_ts is not null group by user_id, device_id;
    analyze device_starts, device_ends`)
  await client.query(
    `create unlogged table moved_devices as
     select d.user_id, d.device_id, d.display_name, d.last_seen, d.ip, d.user_agent,
            m.id as owner, m.admin, s.id is not null as known, f.created_at, e.ends_at,
            coalesce(s.id, pg_temp.new_id(f.created_at, d.user_id || ' ' || d.device_id)) as session_id,
            case when m.id is null then '${NO_USER}'
                 when m.deactivated then '${DEACTIVATED}'
                 when m.guest then '${GUEST}'
                 when length(d.device_id) not between 1 and 255 or d.device_id ~ '[[:cntrl:]\ufffd]'
                   then 'the device ID is empty, longer than 255 characters or has control characters'
                 when s.kind <> 'compat' then 'a newer session has this device here'
            end as problem
       from synapse_devices d
       left join moved_users m on m.user_id = d.user_id
       left join sessions s on s.user_id = m.id and s.device_id = d.device_id and s.ended_at is null
       left join device_starts a on a.user_id = d.user_id and a.device_id = d.device_id
       left join device_ends e on e.user_id = d.user_id and e.device_id = d.device_id
       cross join lateral (
         select coalesce(pg_temp.time_of(a.signed_in_at), pg_temp.time_of(d.last_seen), m.created_at, $1) as created_at
       ) f
      where d.hidden is not true`,
    [now],
  )
  await client.query(`
    with gone as (delete from moved_devices where problem is not null returning user_id, device_id, problem)
    insert into set_aside select 'devices', concat(user_id, ' ', device_id), problem from gone;
    analyze moved_devices`)
}

/** A session for every device, with a token or without one: a device without a session would be deleted as stale. */
export async function writeDevices(client: Client, now: Date): Promise<void> {
  await client.query(
    `insert into sessions (id, kind, user_id, device_id, scope, created_at, last_active_at, last_active_ip,
                           user_agent, name, expires_at, imported_at)
     select session_id, 'compat', owner, device_id, case when admin then $1 else '' end, created_at,
            coalesce(pg_temp.time_of(last_seen), created_at), nullif(nullif(ip, '-'), ''), nullif(user_agent, ''),
            nullif(display_name, ''), ends_at, $2
       from moved_devices where not known`,
    [SYNAPSE_ADMIN_SCOPE, now],
  )
}
