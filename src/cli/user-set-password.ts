import type { Command } from 'commander'
import type { Context } from './context.ts'
import { readNewPassword } from './password.ts'
import { changeUser, OPERATOR } from './users.ts'

interface Options {
  passwordStdin?: boolean
  endSessions?: boolean
}

export function addUserSetPassword(parent: Command, context: Context): void {
  parent
    .command('set-password <name>')
    .description("set a user's password")
    .option('--password-stdin', 'read the password from standard input')
    .option('--end-sessions', 'sign the user out everywhere, for when the old password was in wrong hands')
    .action(async (name: string, { passwordStdin = false, endSessions = false }: Options) => {
      const password = await readNewPassword(context.terminal, passwordStdin)
      await changeUser(
        context,
        name,
        (accounts, user) => accounts.setPassword(user.id, password, { endSessions }, OPERATOR),
        (localpart) => `set the password of ${localpart}`,
      )
    })
}
