/**
 * The tables of a Synapse that an import reads, as schema 94 has them (Synapse 1.163), with their keys and indexes, in
 * words that PostgreSQL and SQLite both take.
 */
export const SYNAPSE_SCHEMA = `
  create table schema_version (lock char(1) not null default 'X' unique, version integer not null, upgraded boolean not null);
  insert into schema_version (version, upgraded) values (94, true);

  create table users (
    name text unique, password_hash text, creation_ts bigint, admin smallint not null default 0, upgrade_ts bigint,
    is_guest smallint not null default 0, appservice_id text, consent_version text, consent_server_notice_sent text,
    user_type text, deactivated smallint not null default 0, shadow_banned boolean, consent_ts bigint, approved boolean,
    locked boolean not null default false, suspended boolean not null default false
  );
  create index users_creation_ts on users (creation_ts);

  create table devices (
    user_id text not null, device_id text not null, display_name text, last_seen bigint, ip text, user_agent text,
    hidden boolean default false,
    constraint device_uniqueness unique (user_id, device_id)
  );

  create table refresh_tokens (
    id bigint primary key, user_id text not null, device_id text not null, token text not null unique,
    next_token_id bigint references refresh_tokens (id) on delete cascade,
    expiry_ts bigint, ultimate_session_expiry_ts bigint
  );
  create index refresh_tokens_next_token_id on refresh_tokens (next_token_id) where next_token_id is not null;

  create table access_tokens (
    id bigint primary key, user_id text not null, device_id text, token text not null unique, valid_until_ms bigint,
    puppets_user_id text, last_validated bigint,
    refresh_token_id bigint references refresh_tokens (id) on delete cascade, used boolean
  );
  create index access_tokens_device_id on access_tokens (user_id, device_id);
  create index access_tokens_refresh_token_id_idx on access_tokens (refresh_token_id);

  create table user_threepids (
    user_id text not null, medium text not null, address text not null, validated_at bigint not null,
    added_at bigint not null,
    constraint medium_address unique (medium, address)
  );
  create index user_threepids_medium_address on user_threepids (medium, address);
  create index user_threepids_user_id on user_threepids (user_id);

  create table user_external_ids (
    auth_provider text not null, external_id text not null, user_id text not null, unique (auth_provider, external_id)
  );
  create index user_external_ids_user_id_idx on user_external_ids (user_id);`

/** The same tables before refresh tokens, single sign-on, locks and suspensions. */
export const OLD_SYNAPSE_SCHEMA = `
  create table users (
    name text unique, password_hash text, creation_ts bigint, admin smallint not null default 0,
    is_guest smallint not null default 0, appservice_id text, deactivated smallint not null default 0
  );
  create table devices (
    user_id text not null, device_id text not null, display_name text, last_seen bigint, ip text, user_agent text,
    constraint device_uniqueness unique (user_id, device_id)
  );
  create table access_tokens (
    id bigint primary key, user_id text not null, device_id text, token text not null unique, last_used bigint
  );
  create table user_threepids (
    user_id text not null, medium text not null, address text not null, validated_at bigint not null,
    added_at bigint not null,
    constraint medium_address unique (medium, address)
  );`
