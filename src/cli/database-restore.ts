import { createReadStream } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Command } from 'commander'
import { PosternError } from '../errors.ts'
import { assertNoServer, withWholeDatabase } from '../storage/archive/whole-database.ts'
import { holdServerLock, openDatabase } from '../storage/connection.ts'
import { fillDatabase } from './archive.ts'
import type { Context } from './context.ts'
import { commandLog } from './log.ts'

export function addDatabaseRestore(parent: Command, { terminal, config }: Context): void {
  parent
    .command('restore <file>')
    .description('fill an empty database from a backup: all of it or nothing')
    .action(async (file: string) => {
      const path = resolve(terminal.cwd, file)
      await access(path, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
        throw new PosternError('backup_file', `${path} cannot be read (${error.code})`, { cause: error })
      })
      const database = await openDatabase(await config(), { log: commandLog() })
      try {
        await assertNoServer(database.clientConfig)
        await holdServerLock(database)
        const archive = createGunzip()
        // Errors reach whoever reads.
        pipeline(createReadStream(path), archive, () => undefined)
        await withWholeDatabase(database.clientConfig, (knex) => fillDatabase(knex, archive))
      } finally {
        await database.close()
      }
      terminal.print('The backup is restored.')
    })
}
