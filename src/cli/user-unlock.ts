import type { Command } from 'commander'
import type { Context } from './context.ts'
import { changeUser, OPERATOR } from './users.ts'

export function addUserUnlock(parent: Command, context: Context): void {
  parent
    .command('unlock <name>')
    .description('let a locked user on: the same sessions work again')
    .action((name: string) =>
      changeUser(
        context,
        name,
        (accounts, user) => accounts.unlock(user.id, OPERATOR),
        (localpart) => `${localpart} is unlocked`,
      ),
    )
}
