import type { Command } from 'commander'
import type { Context } from './context.ts'
import { readNewPassword } from './password.ts'
import { OPERATOR, withUsers } from './users.ts'

interface Options {
  admin?: boolean
  adopt?: boolean
  passwordStdin?: boolean
}

export function addUserAdd(parent: Command, { terminal, config }: Context): void {
  parent
    .command('add <name>')
    .description('add a user, and ask for a password')
    .option('--admin', 'let the user administer this service')
    .option('--adopt', 'take over a user who exists on the homeserver already')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (name: string, { admin, adopt, passwordStdin = false }: Options) => {
      const loaded = await config()
      const password = await readNewPassword(terminal, passwordStdin)
      await withUsers(loaded, async ({ add }) => {
        const user = await add({ localpart: name, password, admin, adopt }, OPERATOR)
        terminal.print(`added ${user.localpart} ${user.id}`)
      })
    })
}
