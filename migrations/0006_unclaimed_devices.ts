import type { Knex } from 'knex'

/**
 * Devices that a sign-in is making at the homeserver, until its session claims them. What is left here after some
 * minutes belongs to a sign-in that came to nothing.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table unclaimed_devices (
      user_id uuid not null references users on delete cascade,
      device_id text not null,
      announced_at timestamptz not null,
      primary key (user_id, device_id)
    )
  `)
}

export async function down(): Promise<void> {
  throw new Error('Migrations go forward only: restore a backup instead')
}
