import type { Command } from 'commander'
import { type ListedUser, listUsers, type UserFilter } from '../users/store.ts'
import type { Context } from './context.ts'
import { withSchema } from './database.ts'

interface Options extends Pick<UserFilter, 'admin' | 'locked' | 'deactivated' | 'search'> {
  json?: boolean
}

export function addUserList(parent: Command, { terminal, config }: Context): void {
  parent
    .command('list')
    .description('list the users')
    .option('--admin', 'only admins')
    .option('--locked', 'only locked ones')
    .option('--deactivated', 'only deactivated ones')
    .option('--search <text>', 'only those whose name contains a text')
    .option('--json', 'as JSON')
    .action(async ({ json, ...filter }: Options) => {
      const users = await withSchema(await config(), ({ knex }) => listUsers(knex, filter))
      if (json) terminal.print(JSON.stringify(users.map(toJson), null, 2))
      else for (const user of users) terminal.print([user.localpart, user.id, ...states(user)].join(' '))
    })
}

function states(user: ListedUser): string[] {
  return [
    user.isAdmin && 'admin',
    user.lockedAt && 'locked',
    user.deactivatedAt && 'deactivated',
    user.isSuspended && 'suspended',
    user.isGuest && 'guest',
    user.appserviceId !== null && 'appservice',
  ].filter((state) => typeof state === 'string')
}

function toJson(user: ListedUser) {
  return {
    id: user.id,
    localpart: user.localpart,
    created_at: user.createdAt,
    locked_at: user.lockedAt,
    deactivated_at: user.deactivatedAt,
    admin: user.isAdmin,
    suspended: user.isSuspended,
    guest: user.isGuest,
    appservice_id: user.appserviceId,
    provisioned_at: user.provisionedAt,
  }
}
