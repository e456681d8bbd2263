import type { Knex } from 'knex'

/** What a homeserver's own login knew of its users, and what became of its rows when they were moved here. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table users
      add column is_guest boolean not null default false,
      -- the appservice that made this user at the homeserver
      add column appservice_id text,
      -- noted at the import; the homeserver itself holds suspended users back
      add column is_suspended boolean not null default false;

    -- Third-party identifiers other than e-mail addresses: phone numbers ('msisdn').
    create table user_third_party_ids (
      medium text not null,
      address text not null,
      user_id uuid not null references users on delete cascade,
      created_at timestamptz not null,
      confirmed_at timestamptz not null,
      primary key (medium, address)
    );
    create index user_third_party_ids_user on user_third_party_ids (user_id);

    -- Whom an upstream provider means by a subject.
    create table upstream_links (
      -- the homeserver's name for the provider, such as 'oidc-keycloak', until one is configured here
      synapse_idp_id text not null,
      subject text not null,
      user_id uuid not null references users on delete cascade,
      created_at timestamptz not null,
      primary key (synapse_idp_id, subject)
    );
    create index upstream_links_user on upstream_links (user_id);

    create table imports (
      id uuid primary key,
      server_name text not null,
      started_at timestamptz not null,
      finished_at timestamptz not null,
      -- rows by the homeserver's table: read, moved, known (here already), set_aside
      counts jsonb not null
    );

    -- Rows that the last import left where they were: which, and why. Never a secret.
    create table import_set_aside (
      synapse_table text not null,
      key text not null,
      reason text not null
    );
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
