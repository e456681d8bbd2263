import type { Command } from 'commander'
import type { Context } from './context.ts'
import { changeUser, OPERATOR } from './users.ts'

export function addUserDeactivate(parent: Command, context: Context): void {
  parent
    .command('deactivate <name>')
    .description('sign a user out everywhere and close the account, on the homeserver too')
    .option('--erase', 'remove the password, the e-mail addresses and the profile as well')
    .action(async (name: string, { erase = false }: { erase?: boolean }) => {
      await changeUser(
        context,
        name,
        (accounts, user) => accounts.deactivate(user.id, { erase }, OPERATOR),
        (localpart) => `${localpart} is deactivated`,
      )
    })
}
