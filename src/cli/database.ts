import type { Config } from '../config/index.ts'
import { prepareJobs } from '../jobs/jobs.ts'
import { type Database, openDatabase } from '../storage/connection.ts'
import { migrate } from '../storage/migrate.ts'
import { commandLog } from './log.ts'

/**
 * Opens the database for one command, beside a running server or without one, and brings it up to date first: a
 * command may well be the first thing that anyone does with it.
 */
export async function withDatabase<Result>(
  config: Config,
  work: (database: Database, applied: string[]) => Promise<Result>,
): Promise<Result> {
  const log = commandLog()
  const database = await openDatabase(config, { log })
  try {
    const applied = await migrate(database.knex)
    await prepareJobs(database, log)
    return await work(database, applied)
  } finally {
    await database.close()
  }
}
