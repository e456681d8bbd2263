import type { Knex } from 'knex'

/** Which sessions an import made, and when: a later one takes back what Synapse has ended since, and nothing else. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('alter table sessions add column imported_at timestamptz')
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
