import type { Command } from 'commander'
import type { Context } from './context.ts'
import { changeUser, OPERATOR } from './users.ts'

export function addUserReactivate(parent: Command, context: Context): void {
  parent
    .command('reactivate <name>')
    .description('make a deactivated user an active one again')
    .action((name: string) =>
      changeUser(
        context,
        name,
        (accounts, user) => accounts.reactivate(user.id, OPERATOR),
        (localpart) => `${localpart} is active`,
      ),
    )
}
