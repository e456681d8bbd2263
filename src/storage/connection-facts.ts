import type { Knex } from 'knex'

/** What a PostgreSQL says about itself. */
export async function connectionFacts(
  knex: Knex,
): Promise<{ version: string; major: number; connectionsLeft: number }> {
  const { rows } = await knex.raw<{ rows: { version: string; number: number; left: number }[] }>(
    `select current_setting('server_version') as version,
            current_setting('server_version_num')::integer as number,
            current_setting('max_connections')::integer - (select count(*) from pg_stat_activity)::integer as left`,
  )
  const { version = '', number = 0, left = 0 } = rows[0] ?? {}
  return { version, major: Math.floor(number / 10_000), connectionsLeft: left }
}
