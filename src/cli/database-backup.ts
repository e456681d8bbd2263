import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { access, link, unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import { unfinishedJobs } from '../jobs/store.ts'
import { readSnapshot, withWholeDatabase } from '../storage/archive/whole-database.ts'
import { openDatabase } from '../storage/connection.ts'
import type { Context } from './context.ts'
import { commandLog } from './log.ts'

export function addDatabaseBackup(parent: Command, { terminal, config }: Context): void {
  parent
    .command('backup <file>')
    .description('write everything in the database to a file, beside a running server too')
    .action(async (file: string) => {
      const path = resolve(terminal.cwd, file)
      const database = await openDatabase(await config(), { log: commandLog() })
      try {
        await writeWhole(path, (write) =>
          withWholeDatabase(database.clientConfig, (knex) =>
            readSnapshot(knex, { now: systemClock.now(), unfinishedJobs }, write),
          ),
        )
      } finally {
        await database.close()
      }
      terminal.print(`The database is in ${path}.`)
      terminal.note('Keep the keys and the master secret with it: they are files of the data folder.')
    })
}

/** Writes a file that is not there yet, for the owner only: it has its name once it is whole and on the disk. */
async function writeWhole(
  path: string,
  produce: (write: (archive: AsyncGenerator<Buffer>) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.part`
  const failed = (error: NodeJS.ErrnoException): never => {
    if (error.code === 'EEXIST')
      throw new PosternError('backup_file', `${error.syscall === 'open' ? temporary : path} is there already`)
    if (!/^(open|write|writev|fsync|link)$/.test(error.syscall ?? '')) throw error
    throw new PosternError('backup_file', `${path} cannot be written (${error.code})`, { cause: error })
  }
  await access(path).then(
    () => failed(Object.assign(new Error(), { code: 'EEXIST' })),
    () => undefined,
  )
  // On the disk before it has its name.
  const file = createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true })
  await once(file, 'open').catch(failed)
  try {
    await produce((archive) => pipeline(archive, createGzip(), file)).catch(failed)
    await link(temporary, path).catch(failed)
  } finally {
    await unlink(temporary).catch(() => undefined)
  }
}
