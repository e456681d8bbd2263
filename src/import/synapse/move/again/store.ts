import type { Client } from 'pg'

/** What earlier imports brought, and Synapse has ended since. */
export interface Gone {
  sessions: number
  tokens: number
}

/**
 * Finds what Synapse has ended since an earlier import: `gone_sessions`, of which device or token is gone there, and
 * `gone_tokens` of the others. Only sessions that an import made and nobody has used here: whatever happened here since
 * (a request, a refresh) is newer than what Synapse knows.
 */
export async function resolveGone(client: Client): Promise<Gone> {
  await client.query(`
    create unlogged table unused_sessions as
    select s.id, s.user_id, s.device_id
      from sessions s join moved_users m on m.id = s.user_id
     where s.ended_at is null and s.imported_at is not null and s.last_active_at <= s.imported_at
       and not exists (select from tokens t where t.session_id = s.id and t.created_at > s.imported_at);

    create unlogged table gone_sessions as
    select u.id from unused_sessions u
     where case when u.device_id is not null then not exists (
                  select from moved_devices d where d.owner = u.user_id and d.device_id = u.device_id)
                else not exists (
                  select from tokens t join synapse_access_tokens a on a.hash = t.hash where t.session_id = u.id)
           end;

    create unlogged table gone_tokens as
    select t.hash from tokens t join unused_sessions u on u.id = t.session_id
     where not exists (select from gone_sessions g where g.id = u.id)
       and not exists (select from synapse_access_tokens a where a.hash = t.hash)
       and not exists (select from synapse_refresh_tokens r where r.hash = t.hash)`)
  const { rows } = await client.query<Gone>(
    `select (select count(*) from gone_sessions)::int as sessions, (select count(*) from gone_tokens)::int as tokens`,
  )
  return rows[0]!
}

/**
 * Ends those sessions and takes those tokens away; what is still there becomes what it is in Synapse now. No device is
 * deleted at the homeserver: there they are gone already.
 */
export async function writeGone(client: Client, now: Date): Promise<void> {
  await client.query(
    `update sessions s set ended_at = $1, end_reason = 'ended_at_homeserver' from gone_sessions g where s.id = g.id`,
    [now],
  )
  await client.query('delete from tokens t using gone_tokens g where t.hash = g.hash')
  // A refresh token that was exchanged at Synapse is a consumed one here as well.
  await client.query(
    `update tokens t
        set consumed_at = $1, successor_hash = r.successor_hash, successor_sealed = r.sealed
       from moved_refresh r, unused_sessions u
      where t.hash = r.hash and u.id = t.session_id and r.known and r.problem is null
        and t.consumed_at is null and r.next_token_id is not null`,
    [now],
  )
  // Once the successor was used there, the exchanged token is no retry any more but a replay.
  await client.query(
    `update tokens t set first_used_at = t.created_at
       from (select hash from moved_access where known and problem is null and used
             union all select hash from moved_refresh where known and problem is null and used) used,
            unused_sessions u
      where t.hash = used.hash and u.id = t.session_id and t.first_used_at is null`,
  )
}
