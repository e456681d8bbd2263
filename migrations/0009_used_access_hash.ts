import type { Knex } from 'knex'

/**
 * Where introspection notes that a token was seen: beside the session's last activity, so that both are one write to one
 * row. `tokens.first_used_at` is no longer written by it; an import and older versions have.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- the access token that was seen in use last: whether the pair of a refresh has reached its client
    alter table sessions add column used_access_hash bytea;
    -- Room on each page for the new version of a row: last activity then touches no index.
    alter table sessions set (fillfactor = 80)
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
