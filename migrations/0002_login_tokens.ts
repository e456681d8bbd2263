import type { Knex } from 'knex'

/** Login tokens of the legacy API (`m.login.token`): single use, 30 seconds, hashed like every bearer secret. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table login_tokens (
      hash bytea primary key,
      user_id uuid not null references users on delete cascade,
      browser_session_id uuid not null references browser_sessions on delete cascade,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      consumed_at timestamptz,
      -- the session that it was exchanged for, so that a token that comes again can end it
      session_id uuid
    );
    create index login_tokens_expiry on login_tokens (expires_at);
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
