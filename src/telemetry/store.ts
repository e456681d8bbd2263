import type { Knex } from 'knex'

/** Live sessions by kind. */
export async function countSessions(db: Knex): Promise<{ kind: string; count: number }[]> {
  const { rows } = await db.raw<{ rows: { kind: string; count: number }[] }>(
    'select kind, count(*) as count from sessions where ended_at is null group by kind order by kind',
  )
  return rows
}

/** Jobs that are still to be done, by name and state. */
export async function countJobs(db: Knex): Promise<{ job: string; state: string; count: number }[]> {
  const { rows } = await db.raw<{ rows: { job: string; state: string; count: number }[] }>(
    `select name as job, state::text as state, count(*) as count from pgboss.job
      where state < 'completed' group by name, state order by name, state`,
  )
  return rows
}
