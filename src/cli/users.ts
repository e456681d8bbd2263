import type { Knex } from 'knex'
import { type Clock, systemClock } from '../clock.ts'
import type { StartCompatSession } from '../compat/compat-session.ts'
import type { Config } from '../config/index.ts'
import { PosternError } from '../errors.ts'
import { createHomeserver } from '../homeserver/client.ts'
import { createNoHomeserver } from '../homeserver/no-homeserver.ts'
import { createJobs } from '../jobs/jobs.ts'
import { createSessionServices } from '../server/session-services.ts'
import { createBrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { Database } from '../storage/connection.ts'
import { type Accounts, createAccounts } from '../users/accounts.ts'
import { type AddUser, createAddUser } from '../users/add-user.ts'
import type { By } from '../users/by.ts'
import { parseUserIdentifier } from '../users/localpart.ts'
import { createPasswords } from '../users/passwords.ts'
import { findUserByLocalpart, type User } from '../users/store.ts'
import type { Context } from './context.ts'
import { withDatabase } from './database.ts'
import { commandLog } from './log.ts'

/** Who acts in the audit table when a command does something. */
export const OPERATOR: By = { actor: 'operator' }

/** What the commands about users work with. */
export interface Users {
  accounts: Accounts
  add: AddUser['add']
  startCompatSession: StartCompatSession
  clock: Clock
}

/** Opens everything that changing users takes, for one command. */
export async function withUsers<Result>(
  config: Config,
  work: (users: Users, database: Database) => Promise<Result>,
): Promise<Result> {
  return withDatabase(config, async (database) => {
    const jobs = createJobs({ database, log: commandLog() })
    try {
      return await work(createUsers(config, database.knex, jobs), database)
    } finally {
      await jobs.close()
    }
  })
}

function createUsers(config: Config, db: Knex, jobs: ReturnType<typeof createJobs>): Users {
  const clock = systemClock
  const { endpoint, secret, request_timeout, server_name } = config.matrix
  const homeserver =
    endpoint && secret
      ? createHomeserver({ endpoint, secret, timeoutSeconds: request_timeout })
      : createNoHomeserver()
  const passwords = createPasswords({ db, config: config.passwords })
  // What the operator does by command is held to no limit of theirs.
  const gate = { sessionLimit: () => undefined }
  const deps = { config, db, homeserver, jobs, clock, log: commandLog(), gate }
  const { sessions, startCompatSession } = createSessionServices(deps)
  const browserSessions = createBrowserSessions({
    db,
    clock,
    endWebsites: sessions.endWebsitesOfBrowserWithin,
  })
  const { add } = createAddUser({ db, clock, passwords, homeserver, jobs, serverName: server_name })
  const accounts = createAccounts({ db, clock, passwords, jobs, sessions, browserSessions })
  return { accounts, add, startCompatSession, clock }
}

/** The user of a name (`alice` or `@alice:example.org`). Throws `unknown_user`. */
export async function findUser(db: Knex, config: Config, name: string): Promise<User> {
  const localpart = parseUserIdentifier(name, config.matrix.server_name)
  const user = localpart === undefined ? undefined : await findUserByLocalpart(db, localpart)
  if (!user) throw new PosternError('unknown_user', `There is no user ${name}`, { status: 404 })
  return user
}

/** Runs one change of one user, and says how it ended. */
export async function changeUser(
  context: Context,
  name: string,
  change: (accounts: Accounts, user: User) => Promise<unknown>,
  done: (localpart: string) => string,
): Promise<void> {
  const config = await context.config()
  await withUsers(config, async ({ accounts }, { knex }) => {
    const user = await findUser(knex, config, name)
    await change(accounts, user)
    context.terminal.print(done(user.localpart))
  })
}
