import type { Command } from 'commander'
import { PosternError } from '../errors.ts'
import type { Context } from './context.ts'

const PATIENCE_MS = 10_000

export function addReload(program: Command, { terminal, config }: Context): void {
  program
    .command('reload')
    .description('let every running server take up changed keys, pages, rules and log level')
    .action(async () => {
      const { openDatabase } = await import('../storage/connection.ts')
      const { askServersToReload } = await import('../storage/server-requests.ts')
      const { commandLog } = await import('./log.ts')
      const database = await openDatabase(await config(), { log: commandLog() })
      const { servers, silent } = await askServersToReload(database.clientConfig, {
        timeoutMs: PATIENCE_MS,
      }).finally(() => database.close())
      const parts = servers.flat()
      for (const { part, fault } of parts) if (fault === undefined) terminal.print(`reloaded ${part}`)
      for (const { part, fault } of parts) if (fault !== undefined) terminal.note(`${part} stays: ${fault}`)
      const problem =
        servers.length + silent === 0
          ? 'No server runs on this database: the next start reads everything'
          : silent > 0
            ? `${silent} of the servers did not answer: send SIGHUP to them, and read their log`
            : parts.some(({ fault }) => fault !== undefined)
              ? 'Something could not be reloaded: mend it and reload again'
              : undefined
      if (problem) throw new PosternError('reload_refused', problem)
    })
}
