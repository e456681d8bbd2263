import type { Knex } from 'knex'

/**
 * The first schema: users, browser sessions, clients, sessions, tokens, and what stands around them.
 *
 * Every bearer secret is stored as its SHA-256 (`bytea`), never in plain text (design, invariant 1).
 * Times come from the service's clock as parameters, so no column defaults to `now()`.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table users (
      id uuid primary key,
      localpart text not null unique,
      created_at timestamptz not null,
      locked_at timestamptz,
      deactivated_at timestamptz,
      is_admin boolean not null default false,
      -- when the homeserver last confirmed that this user exists there
      provisioned_at timestamptz,
      -- counts the times that devices of this user were deleted at the homeserver, so that a sign-in which
      -- made its device meanwhile knows that it has to make it again
      device_epoch integer not null default 0
    );
    create index users_lower_localpart on users (lower(localpart));

    -- A PHC string: "$argon2id$…" or an imported "$2b$…" (bcrypt).
    create table user_passwords (
      user_id uuid primary key references users on delete cascade,
      hash text not null,
      created_at timestamptz not null
    );
    -- Answers at once what the highest cost among the imported bcrypt hashes is (invariant 9).
    create index user_passwords_bcrypt_cost on user_passwords (substr(hash, 5, 2)) where hash like '$2%';

    create table user_emails (
      id uuid primary key,
      user_id uuid not null references users on delete cascade,
      email text not null,
      created_at timestamptz not null,
      confirmed_at timestamptz
    );
    create index user_emails_user on user_emails (user_id);
    create unique index user_emails_confirmed on user_emails (lower(email)) where confirmed_at is not null;

    create table browser_sessions (
      id uuid primary key,
      user_id uuid not null references users on delete cascade,
      cookie_hash bytea not null unique,
      created_at timestamptz not null,
      authenticated_at timestamptz not null,
      last_active_at timestamptz not null,
      last_active_ip text,
      user_agent text,
      ended_at timestamptz
    );
    create index browser_sessions_user on browser_sessions (user_id) where ended_at is null;

    create table clients (
      client_id text primary key,
      -- 'dynamic' (registered by an app), 'static' (client add) or 'configured' (the configuration file)
      kind text not null,
      auth_method text not null,
      -- RFC 7591 metadata in snake_case, without the secret
      metadata jsonb not null,
      secret_hash bytea,
      -- SHA-256 of the canonical metadata of public dynamic clients: the same metadata, the same client_id
      metadata_digest bytea unique,
      created_at timestamptz not null,
      last_used_at timestamptz
    );

    -- Rows that oidc-provider keeps through its adapter: interactions, grants, authorization codes.
    create table oidc_records (
      model text not null,
      id_hash bytea not null,
      payload jsonb not null,
      expires_at timestamptz not null,
      consumed_at timestamptz,
      -- the session that a code was exchanged for, so that a replayed code can end it
      session_id uuid,
      primary key (model, id_hash)
    );
    create index oidc_records_expiry on oidc_records (expires_at);

    create table sessions (
      id uuid primary key,
      -- 'oauth', 'compat' or 'personal'
      kind text not null,
      user_id uuid references users on delete cascade,
      client_id text,
      device_id text,
      -- space-separated, as granted
      scope text not null,
      browser_session_id uuid,
      created_at timestamptz not null,
      last_active_at timestamptz,
      last_active_ip text,
      user_agent text,
      name text,
      -- the absolute limit, where one is configured
      expires_at timestamptz,
      ended_at timestamptz,
      end_reason text
    );
    create index sessions_user on sessions (user_id) where ended_at is null;
    create index sessions_client on sessions (client_id);
    create index sessions_ended on sessions (ended_at) where ended_at is not null;
    -- One device, one session (invariant 3).
    create unique index sessions_device on sessions (user_id, device_id)
      where ended_at is null and device_id is not null;

    create table tokens (
      hash bytea primary key,
      session_id uuid not null references sessions on delete cascade,
      -- 'access' or 'refresh'
      kind text not null,
      created_at timestamptz not null,
      expires_at timestamptz,
      -- access tokens: the refresh token of the same pair
      refresh_hash bytea,
      -- access tokens: superseded by a refresh; refresh tokens: exchanged for the successor
      consumed_at timestamptz,
      first_used_at timestamptz,
      -- refresh tokens: the successor pair, sealed under a key derived from the presented token
      successor_hash bytea,
      successor_sealed bytea
    );
    create index tokens_session on tokens (session_id);
    create index tokens_expiry on tokens (expires_at) where expires_at is not null;
    create index tokens_consumed on tokens (consumed_at) where consumed_at is not null;

    create table device_codes (
      code_hash bytea primary key,
      -- HMAC under a key of the service: 34 bits could be guessed from a bare hash
      user_code_hash bytea not null unique,
      client_id text not null,
      scope text not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      interval_seconds integer not null,
      last_polled_at timestamptz,
      ip text,
      user_agent text,
      -- 'pending', 'approved' or 'denied'
      status text not null default 'pending',
      user_id uuid,
      browser_session_id uuid,
      authenticated_at timestamptz,
      consumed_at timestamptz,
      session_id uuid
    );
    create index device_codes_expiry on device_codes (expires_at);

    -- Single-use links of the service itself, such as the first administrator's.
    create table tickets (
      hash bytea primary key,
      purpose text not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      consumed_at timestamptz
    );

    -- The shape that rate-limiter-flexible reads and writes.
    create table rate_limits (
      key varchar(255) primary key,
      points integer not null default 0,
      expire bigint
    );

    create table audit_events (
      id bigint generated always as identity primary key,
      at timestamptz not null,
      event text not null,
      -- who did it: 'user', 'admin', 'operator' (command line), 'client', 'system'
      actor text not null,
      actor_user_id uuid,
      user_id uuid,
      session_id uuid,
      client_id text,
      ip text,
      user_agent text,
      details jsonb not null default '{}'
    );
    create index audit_events_user on audit_events (user_id, at);
    create index audit_events_at on audit_events (at);

    create function audit_events_append_only() returns trigger language plpgsql as $$
    begin
      raise exception 'audit_events is append-only';
    end $$;
    create trigger audit_events_append_only before update or delete or truncate on audit_events
      for each statement execute function audit_events_append_only();
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
