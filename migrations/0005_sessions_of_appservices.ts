import type { Knex } from 'knex'

/** Which appservice signed in, by its registration's ID: such sessions count towards nobody's limit. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('alter table sessions add column appservice text')
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
