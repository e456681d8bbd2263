import type { Client } from 'pg'

/** Why a row that belongs to a user cannot go with that user. */
export const NO_USER = 'there is no such user, or it is set aside itself'
/** Two addresses that differ in case are one here. */
const TAKEN = 'the address is taken already'
export const DEACTIVATED = 'the user is deactivated'

/**
 * Decides about e-mail addresses, other third-party identifiers and links to upstream providers: `moved_emails`,
 * `moved_identifiers` and `moved_links`, where `known` rows are here already.
 */
export async function resolveAddresses(client: Client): Promise<void> {
  await client.query(`
    create unlogged table moved_emails as
    select t.address, t.validated_at, t.added_at, m.id as user_id, coalesce(e.user_id = m.id, false) as known,
           case when m.id is null then '${NO_USER}'
                when m.deactivated then '${DEACTIVATED}'
                when t.address !~ '^[^[:space:][:cntrl:]]+@[^[:space:][:cntrl:]]+$' or length(t.address) > 254
                  then 'is not an e-mail address'
                when e.user_id <> m.id then '${TAKEN}'
                when row_number() over (partition by lower(t.address) order by m.id is null, m.deactivated,
                                        t.added_at nulls last, t.user_id) > 1
                  then '${TAKEN}'
           end as problem
      from synapse_user_threepids t
      left join moved_users m on m.user_id = t.user_id
      left join user_emails e on lower(e.email) = lower(t.address) and e.confirmed_at is not null
     where t.medium = 'email';
    insert into set_aside select 'user_threepids', 'email ' || address, problem from moved_emails where problem is not null;

    create unlogged table moved_identifiers as
    select t.medium, t.address, t.validated_at, t.added_at, m.id as user_id, coalesce(i.user_id = m.id, false) as known,
           case when m.id is null then '${NO_USER}'
                when m.deactivated then '${DEACTIVATED}'
                when i.user_id <> m.id then 'another user has this identifier here' end as problem
      from synapse_user_threepids t
      left join moved_users m on m.user_id = t.user_id
      left join user_third_party_ids i on i.medium = t.medium and i.address = t.address
     where t.medium is distinct from 'email';
    insert into set_aside select 'user_threepids', concat(medium, ' ', address), problem
      from moved_identifiers where problem is not null;

    create unlogged table moved_links as
    select t.auth_provider, t.external_id, m.id as user_id, coalesce(l.user_id = m.id, false) as known,
           case when m.id is null then '${NO_USER}'
                when t.auth_provider = 'oauth-delegated' then 'is left from an authentication service of before'
                when l.user_id <> m.id then 'another user has this link here' end as problem
      from synapse_user_external_ids t
      left join moved_users m on m.user_id = t.user_id
      left join upstream_links l on l.synapse_idp_id = t.auth_provider and l.subject = t.external_id;
    insert into set_aside select 'user_external_ids', concat(auth_provider, ' ', external_id), problem
      from moved_links where problem is not null`)
}

/** Writes them. Synapse keeps only addresses that were validated, so all arrive confirmed. */
export async function writeAddresses(client: Client, now: Date): Promise<void> {
  await client.query(
    `insert into user_emails (id, user_id, email, created_at, confirmed_at)
     select pg_temp.new_id(at, address), user_id, address, at, coalesce(pg_temp.time_of(validated_at), at)
       from (select *, coalesce(pg_temp.time_of(added_at), $1) as at from moved_emails
              where problem is null and not known) e`,
    [now],
  )
  await client.query(
    `insert into user_third_party_ids (medium, address, user_id, created_at, confirmed_at)
     select medium, address, user_id, coalesce(pg_temp.time_of(added_at), $1), coalesce(pg_temp.time_of(validated_at), $1)
       from moved_identifiers where problem is null and not known`,
    [now],
  )
  await client.query(
    `insert into upstream_links (synapse_idp_id, subject, user_id, created_at)
     select auth_provider, external_id, user_id, $1 from moved_links where problem is null and not known`,
    [now],
  )
}
