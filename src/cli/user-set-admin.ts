import type { Command } from 'commander'
import type { Context } from './context.ts'
import { changeUser, OPERATOR } from './users.ts'

export function addUserSetAdmin(parent: Command, context: Context): void {
  parent
    .command('set-admin <name>')
    .description('let a user administer this service')
    .option('--remove', 'no longer')
    .action(async (name: string, { remove = false }: { remove?: boolean }) => {
      await changeUser(
        context,
        name,
        (accounts, user) => accounts.setAdmin(user.id, !remove, OPERATOR),
        (localpart) => `${localpart} is ${remove ? 'no' : 'an'} admin`,
      )
    })
}
