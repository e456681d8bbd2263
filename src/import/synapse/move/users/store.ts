import type { Client } from 'pg'

export interface UserRules {
  serverName: string
  now: Date
  /** Appservices by ID, with what their users are called, as regular expressions of whole user IDs. */
  appservices: readonly { id: string; pattern: string }[]
  /** Whether users whom an administrator has not approved yet may not sign in. */
  lockUnapproved: boolean
}

/**
 * Decides about every user: `moved_users` holds those that are moved, or are here already, with their new IDs.
 * A localpart is printable ASCII without a colon (Matrix 1.18, historical user IDs), 255 bytes with the server name.
 */
export async function resolveUsers(client: Client, rules: UserRules): Promise<void> {
  const { serverName, now, appservices, lockUnapproved } = rules
  await client.query(
    `create unlogged table moved_users as
     with named as (
       select s.*, case when starts_with(user_id, '@') and right(user_id, $2) = $1
                        then substr(user_id, 2, length(user_id) - 1 - $2) end as localpart,
              case when creation_ts between 1 and 32503680000 then to_timestamp(creation_ts) else $3 end as created_at
         from synapse_users s
     )
     select n.user_id, n.password_hash, n.created_at, n.localpart, coalesce(u.id, pg_temp.new_id(n.created_at, n.user_id)) as id,
            u.id is not null as existed,
            coalesce(n.locked, false) or ($6 and n.approved is false) as locked,
            coalesce(n.deactivated, false) as deactivated,
            coalesce(n.admin, false) as admin,
            coalesce(n.is_guest, false) as guest,
            coalesce(n.suspended, false) as suspended,
            coalesce(n.shadow_banned, false) as shadow_banned,
            n.password_hash is null or n.password_hash = '' or ${IS_BCRYPT} as password_known,
            coalesce(n.appservice_id, (
              select a.id from unnest($4::text[], $5::text[]) as a(id, pattern) where n.user_id ~ a.pattern limit 1
            )) as appservice_id,
            case when n.user_id is null or n.user_id not like '@%:%' then 'is not a user ID'
                 when n.localpart is null then 'belongs to another server'
                 when n.localpart !~ '^[!-9;-~]+$' collate "C"
                   then 'the name has characters that no user ID may have'
                 when octet_length(n.user_id) > 255 then 'the user ID is longer than 255 bytes'
            end as problem
       from named n left join users u on u.localpart = n.localpart`,
    [
      `:${serverName}`,
      serverName.length + 1,
      now,
      appservices.map(({ id }) => id),
      appservices.map(({ pattern }) => pattern),
      lockUnapproved,
    ],
  )
  await client.query(`
    insert into set_aside select 'users', coalesce(user_id, '(null)'), problem from moved_users where problem is not null;
    insert into set_aside select 'users', user_id, 'its password is not a bcrypt hash: moved without a password'
      from moved_users where problem is null and not password_known;
    update moved_users set password_hash = null where password_hash = '' or not password_known;
    delete from moved_users where problem is not null;
    create unique index on moved_users (user_id);
    analyze moved_users`)
}

/** As `bcryptCost` (src/users/password-schemes.ts) has it; a repetition of 53 in the pattern would take four times as long. */
const IS_BCRYPT = String.raw`(length(password_hash) = 60 and password_hash ~ '^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]+$')`

/**
 * Writes the users. One who is here already is never taken anything from: locks and notes are added, and a password
 * that an earlier import brought and nobody has used or changed since is brought up to date.
 */
export async function writeUsers(client: Client, now: Date): Promise<void> {
  await client.query(
    `insert into users (id, localpart, created_at, locked_at, deactivated_at, is_admin, provisioned_at,
                        is_guest, appservice_id, is_suspended)
     select id, localpart, created_at, case when locked then $1::timestamptz end,
            case when deactivated then $1::timestamptz end, admin and not deactivated, $1, guest, appservice_id, suspended
       from moved_users where not existed`,
    [now],
  )
  await client.query(
    `update users u
        set locked_at = coalesce(u.locked_at, case when m.locked then $1::timestamptz end),
            deactivated_at = coalesce(u.deactivated_at, case when m.deactivated then $1::timestamptz end),
            provisioned_at = coalesce(u.provisioned_at, $1), is_guest = m.guest,
            appservice_id = m.appservice_id, is_suspended = m.suspended
       from moved_users m where m.existed and u.id = m.id`,
    [now],
  )
  await client.query(
    `insert into user_passwords (user_id, hash, created_at)
     select m.id, m.password_hash, m.created_at
       from moved_users m left join user_passwords p on p.user_id = m.id
      where p.user_id is null and not m.deactivated and m.password_hash is not null`,
  )
  await client.query(
    `update user_passwords p set hash = m.password_hash
       from moved_users m
      where m.existed and p.user_id = m.id and p.hash like '$2%' and p.hash <> m.password_hash`,
  )
}
