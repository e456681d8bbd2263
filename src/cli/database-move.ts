import type { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import { unfinishedJobs } from '../jobs/store.ts'
import { assertNoServer, readSnapshot, withWholeDatabase } from '../storage/archive/whole-database.ts'
import { clientConfigOf } from '../storage/client-config.ts'
import { holdServerLock, openDatabase } from '../storage/connection.ts'
import { fillDatabase } from './archive.ts'
import type { Context } from './context.ts'
import { commandLog } from './log.ts'

export function addDatabaseMove(parent: Command, { terminal, config }: Context): void {
  parent
    .command('move')
    .description('copy the database of the configuration to an empty PostgreSQL database')
    .requiredOption('--to <uri>', 'its address, such as postgresql://postern@db.example.org/postern')
    .action(async ({ to }: { to: string }) => {
      if (!/^postgres(ql)?:$/.test(URL.parse(to)?.protocol ?? ''))
        throw new PosternError(
          'invalid_uri',
          '--to is no address such as postgresql://postern@localhost/postern',
        )
      const loaded = await config()
      const source = await openDatabase(loaded, { log: commandLog() })
      try {
        await assertNoServer(source.clientConfig)
        await holdServerLock(source)
        const target = clientConfigOf(to)
        await assertNoServer(target)
        await withWholeDatabase(source.clientConfig, (from) =>
          withWholeDatabase(target, (into) =>
            readSnapshot(from, { now: systemClock.now(), unfinishedJobs }, (archive) =>
              fillDatabase(into, archive),
            ),
          ),
        )
      } finally {
        await source.close()
      }
      terminal.print('Everything is in the new database.')
      terminal.note('Write its address to database.uri and start the server. What was here stays as it is.')
    })
}
