import type { Command } from 'commander'
import type { Context } from './context.ts'
import { changeUser, OPERATOR } from './users.ts'

export function addUserLock(parent: Command, context: Context): void {
  parent
    .command('lock <name>')
    .description('hold a user: nothing works any more, nothing is lost')
    .action((name: string) =>
      changeUser(
        context,
        name,
        (accounts, user) => accounts.lock(user.id, OPERATOR),
        (localpart) => `${localpart} is locked`,
      ),
    )
}
