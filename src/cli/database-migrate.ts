import type { Command } from 'commander'
import type { Context } from './context.ts'
import { withDatabase } from './database.ts'

export function addDatabaseMigrate(parent: Command, { terminal, config }: Context): void {
  parent
    .command('migrate')
    .description("bring the database to this version's schema (the server does so too when it starts)")
    .action(async () => {
      await withDatabase(await config(), async (_database, applied) => {
        for (const name of applied) terminal.print(`applied ${name}`)
        if (applied.length === 0) terminal.print('The database is up to date.')
      })
    })
}
