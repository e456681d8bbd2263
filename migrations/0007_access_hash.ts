import type { Knex } from 'knex'

/**
 * Lets a refresh find the access token that it supersedes by its key: a session that refreshes for a week leaves
 * thousands of tokens behind. Null where an older version, or an import, made the row.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- refresh tokens: the access token of the same pair
    alter table tokens add column access_hash bytea
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
