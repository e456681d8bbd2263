import type { Knex } from 'knex'
import knexFactory from 'knex'
import type pg from 'pg'
import { hasServers } from '../server-requests.ts'
import { StorageError } from '../storage-error.ts'
import { type UnfinishedJobs, writeArchive } from './write.ts'

/** Works with a whole database at once, which takes longer than the service lets a statement take. */
export async function withWholeDatabase<Result>(
  clientConfig: pg.ClientConfig,
  work: (knex: Knex) => Promise<Result>,
): Promise<Result> {
  const knex = knexFactory({
    client: 'pg',
    // A copy: knex hides the password in what it is given.
    connection: { ...clientConfig, statement_timeout: 0 } as Knex.PgConnectionConfig,
    pool: { min: 0, max: 4 },
  })
  try {
    return await work(knex)
  } finally {
    await knex.destroy()
  }
}

/** One moment of the database as an archive, handed on while it is read. */
export function readSnapshot<Result>(
  knex: Knex,
  options: { now: Date; unfinishedJobs: UnfinishedJobs },
  take: (archive: AsyncGenerator<Buffer>) => Promise<Result>,
): Promise<Result> {
  return knex.transaction((trx) => take(writeArchive(trx, options)), {
    isolationLevel: 'repeatable read',
    readOnly: true,
  })
}

/** @throws StorageError where a server runs on the database: what it writes meanwhile would be lost */
export async function assertNoServer(clientConfig: pg.ClientConfig): Promise<void> {
  if (await hasServers(clientConfig))
    throw new StorageError('A postern server runs on this database: stop it first')
}
