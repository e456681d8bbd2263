import type { Knex } from 'knex'

/** User-interactive authentication of the legacy API: what was asked for, until the password comes. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table interactive_auth (
      hash bytea primary key,
      -- the session of the access token that asked: its user, and its device
      session_id uuid not null references sessions on delete cascade,
      -- SHA-256 of what was asked for, without passwords
      request_hash bytea not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      consumed_at timestamptz
    );
    create index interactive_auth_expiry on interactive_auth (expires_at);
    create index interactive_auth_session on interactive_auth (session_id);
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
