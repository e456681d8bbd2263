import type { Knex } from 'knex'
import pino from 'pino'
import { limitsSection } from '../../src/config/sections/limits.ts'
import { passwordsSection } from '../../src/config/sections/passwords.ts'
import type { Homeserver } from '../../src/homeserver/client.ts'
import { createNoHomeserver } from '../../src/homeserver/no-homeserver.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { createLimits } from '../../src/limits/limits.ts'
import { createBrowserSessions } from '../../src/sessions/browser/browser-sessions.ts'
import { createSessions } from '../../src/sessions/sessions.ts'
import { createFirstAdmin } from '../../src/setup/first-admin.ts'
import { createPasswordCheck } from '../../src/signin/password-check.ts'
import { createPasswordSignIn } from '../../src/signin/password-sign-in.ts'
import { createAccounts } from '../../src/users/accounts.ts'
import { createAddUser } from '../../src/users/add-user.ts'
import { createChangePassword } from '../../src/users/change-password.ts'
import { createPasswords } from '../../src/users/passwords.ts'
import { createStillClock } from './still-clock.ts'

export const GOOD_PASSWORD = 'tulip kettle harbour'
export const OPERATOR = { actor: 'operator' } as const
export const SERVER_NAME = 'example.org'

/** Everything about users and signing in, on a real database, as the service builds it. */
export function createAccountsWorld(
  db: Knex,
  {
    homeserver = createNoHomeserver(),
    passwords: passwordSettings = {},
    limits: limitSettings = {},
  }: {
    homeserver?: Homeserver
    passwords?: Parameters<typeof passwordsSection.parse>[0]
    limits?: Parameters<typeof limitsSection.parse>[0]
  } = {},
) {
  const clock = createStillClock()
  const jobs = createJobs({ database: { knex: db }, log: pino({ level: 'silent' }) })
  const passwords = createPasswords({ db, config: passwordsSection.parse(passwordSettings) })
  const limits = createLimits({ db, clock, config: limitsSection.parse(limitSettings) })
  const sessions = createSessions({
    db,
    clock,
    queueDeviceDeletion: async (trx, device) => ({
      ...device,
      jobId: await jobs.enqueue(trx, 'device.delete', device, { userId: device.userId }),
    }),
    queueLogoutNotice: async () => undefined,
    deleteQueuedDevices: async () => undefined,
  })
  const browserSessions = createBrowserSessions({
    db,
    clock,
    endWebsites: sessions.endWebsitesOfBrowserWithin,
  })
  const addUser = createAddUser({ db, clock, passwords, homeserver, jobs, serverName: SERVER_NAME })
  const accounts = createAccounts({ db, clock, passwords, jobs, sessions, browserSessions })
  const gate = { passwordLogin: () => undefined }
  const { checkPassword, comparePassword } = createPasswordCheck({
    db,
    passwords,
    limits,
    serverName: SERVER_NAME,
    gate,
  })
  const signIn = createPasswordSignIn({ db, passwords, clock, checkPassword, comparePassword }).signIn
  const changePassword = createChangePassword({
    db,
    clock,
    passwords,
    checkPassword,
    sessions,
    browserSessions,
  })
  const firstAdmin = createFirstAdmin({ db, clock, addUser })
  return {
    clock,
    jobs,
    passwords,
    limits,
    browserSessions,
    sessions,
    addUser,
    accounts,
    signIn,
    changePassword,
    firstAdmin,
    /** The names of the audit events so far, oldest first. */
    auditEvents: async (): Promise<string[]> => db('audit_events').orderBy('id').pluck('event'),
    close: () => jobs.close(),
  }
}

export type AccountsWorld = ReturnType<typeof createAccountsWorld>
