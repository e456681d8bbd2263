import type { Command } from 'commander'
import type { Knex } from 'knex'
import { PosternError } from '../errors.ts'
import { isDeviceId } from '../oauth/device-id.ts'
import { SYNAPSE_ADMIN_SCOPE } from '../oauth/scopes.ts'
import { lockUserRow, type User } from '../users/store.ts'
import type { Context } from './context.ts'
import { findUser, OPERATOR, withUsers } from './users.ts'

interface Options {
  device?: string
  admin?: boolean
}

const DEVICE_NAME = 'postern session issue'

/** Throws `user_deactivated` or `user_locked`: a token of such a user would not work. */
function assertUsable(user: User | undefined): void {
  if (!user || user.deactivatedAt) {
    const fix = 'make the account active again first (postern user reactivate)'
    throw new PosternError('user_deactivated', `The user is deactivated: ${fix}`)
  }
  if (user.lockedAt) {
    throw new PosternError('user_locked', 'The user is locked: unlock it first (postern user unlock)')
  }
}

export function addSessionIssue(parent: Command, { terminal, config }: Context): void {
  parent
    .command('issue <user>')
    .description('sign a user in for a script: prints an access token that does not expire, this once')
    .option('--device <id>', 'the device ID; a session that has it already is replaced (default: a new one)')
    .option('--admin', `with ${SYNAPSE_ADMIN_SCOPE}, for the admin API of Synapse`)
    .action(async (name: string, { device, admin = false }: Options) => {
      if (device !== undefined && !isDeviceId(device)) {
        const allowed = '1 to 255 printable ASCII characters, without spaces, quotes and backslashes'
        throw new PosternError('invalid_device_id', `The device ID must have ${allowed}`)
      }
      const loaded = await config()
      await withUsers(loaded, async ({ startCompatSession }, { knex }) => {
        const user = await findUser(knex, loaded, name)
        assertUsable(user)
        const session = await startCompatSession({
          user,
          deviceId: device ?? null,
          displayName: DEVICE_NAME,
          withRefresh: false,
          scope: admin ? SYNAPSE_ADMIN_SCOPE : '',
          ip: null,
          userAgent: null,
          by: OPERATOR,
          event: {
            event: 'session.issued',
            ...OPERATOR,
            userId: user.id,
            details: { admin, device_id: device ?? null },
          },
          consume: async (trx: Knex) => {
            // The homeserver was asked in between.
            assertUsable(await lockUserRow(trx, user.id, 'share'))
          },
        })
        terminal.note(
          `${session.user_id} is signed in on device ${session.device_id}; the token is shown once:`,
        )
        terminal.print(session.access_token)
      })
    })
}
