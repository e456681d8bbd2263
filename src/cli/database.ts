import type { Config } from '../config/index.ts'
import { type Database, openDatabase } from '../storage/connection.ts'
import { migrate } from '../storage/migrate.ts'
import { commandLog } from './log.ts'

/**
 * Opens the database for one command that queues no job, beside a running server or without one, and brings its schema up
 * to date first: a command may well be the first thing that anyone does with it.
 */
export async function withSchema<Result>(
  config: Config,
  work: (database: Database, applied: string[]) => Promise<Result>,
): Promise<Result> {
  const database = await openDatabase(config, { log: commandLog() })
  try {
    return await work(database, await migrate(database.knex))
  } finally {
    await database.close()
  }
}

/** As `withSchema`, with the job queue's tables. */
export async function withDatabase<Result>(
  config: Config,
  work: (database: Database, applied: string[]) => Promise<Result>,
): Promise<Result> {
  const { prepareJobs } = await import('../jobs/jobs.ts')
  return withSchema(config, async (database, applied) => {
    await prepareJobs(database, commandLog())
    return work(database, applied)
  })
}
