import type { Knex } from 'knex'
import { createJobs, prepareJobs } from '../jobs/jobs.ts'
import type { JobData, JobName } from '../jobs/queues.ts'
import { jobNames, schedules } from '../jobs/queues.ts'
import type { ArchivedJob } from '../storage/archive/format.ts'
import { readArchive } from '../storage/archive/read.ts'
import { migrate } from '../storage/migrate.ts'
import { commandLog } from './log.ts'

/** Fills an empty database from an archive, and brings it to this version's schema. */
export async function fillDatabase(knex: Knex, archive: AsyncIterable<Buffer>): Promise<void> {
  const log = commandLog()
  const jobs = createJobs({ database: { knex }, log })
  try {
    await readArchive(archive, {
      knex,
      prepareJobs: () => prepareJobs({ knex }, log),
      queueJob: async (trx, { name, data, userId }: ArchivedJob) => {
        const known = jobNames.find((one) => one === name)
        // Those that run by the clock are queued by the clock.
        if (!known || schedules[known]) return
        await jobs.enqueue(trx, known, data as JobData[JobName], userId === null ? {} : { userId })
      },
    })
  } finally {
    await jobs.close()
  }
  await migrate(knex)
}
