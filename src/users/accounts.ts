import type { Knex } from 'knex'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { By } from './by.ts'
import type { Passwords } from './passwords.ts'
import {
  deletePersonalData,
  findUserById,
  lockUserRow,
  setPasswordHash,
  type User,
  type UserChanges,
  updateUser,
} from './store.ts'

export interface AccountsDeps {
  db: Knex
  clock: Clock
  passwords: Passwords
  jobs: Pick<Jobs, 'enqueue'>
  sessions: Pick<Sessions, 'endAllWithin' | 'settle'>
  browserSessions: Pick<BrowserSessions, 'endOthers'>
}

/**
 * What admins and operators do to users. Each is one transaction with its audit event and its job; asking for what
 * is so already changes and records nothing. All throw `unknown_user`.
 */
export function createAccounts({ db, clock, passwords, jobs, sessions, browserSessions }: AccountsDeps) {
  async function lockRow(trx: Knex, userId: string): Promise<User> {
    const user = await lockUserRow(trx, userId)
    if (!user) throw unknownUser()
    return user
  }

  /** Changes a user and records it; tells the homeserver where the change matters there. */
  async function change(
    userId: string,
    by: By,
    event: string,
    { changes, sync }: { changes: (user: User, at: Date) => UserChanges | undefined; sync: boolean },
  ): Promise<User> {
    return db.transaction(async (trx) => {
      const user = await lockRow(trx, userId)
      const at = clock.now()
      const wanted = changes(user, at)
      if (!wanted) return user
      await updateUser(trx, userId, wanted)
      await recordAudit(trx, at, { event, ...by, userId })
      if (sync) await jobs.enqueue(trx, 'user.sync', { userId }, { userId })
      return { ...user, ...wanted }
    })
  }

  /** Lets the user administer this service, or no longer. */
  const setAdmin = (userId: string, isAdmin: boolean, by: By) =>
    change(userId, by, isAdmin ? 'user.admin_granted' : 'user.admin_withdrawn', {
      changes: (user) => (user.isAdmin === isAdmin ? undefined : { isAdmin }),
      sync: false,
    })

  /** Holds the user: nothing works, nothing is lost (invariant 8). */
  const lock = (userId: string, by: By) =>
    change(userId, by, 'user.locked', {
      changes: (user, at) => (user.lockedAt ? undefined : { lockedAt: at }),
      sync: true,
    })

  const unlock = (userId: string, by: By) =>
    change(userId, by, 'user.unlocked', {
      changes: (user) => (user.lockedAt ? { lockedAt: null } : undefined),
      sync: true,
    })

  const reactivate = (userId: string, by: By) =>
    change(userId, by, 'user.reactivated', {
      changes: (user) => (user.deactivatedAt ? { deactivatedAt: null } : undefined),
      sync: true,
    })

  /**
   * Ends everything that the user has here and, by a job, the account at the homeserver. `erase` also removes the
   * password and the e-mail addresses here, and the profile there; it may follow a deactivation without.
   */
  async function deactivate(userId: string, { erase }: { erase: boolean }, by: By): Promise<User> {
    const { user, ended } = await db.transaction(async (trx) => {
      const user = await lockRow(trx, userId)
      if (user.deactivatedAt && !erase) return { user, ended: [] }
      const at = clock.now()
      const deactivatedAt = user.deactivatedAt ?? at
      await updateUser(trx, userId, { deactivatedAt })
      if (erase) await deletePersonalData(trx, userId)
      await recordAudit(trx, at, { event: 'user.deactivated', ...by, userId, details: { erase } })
      const ended = await sessions.endAllWithin(trx, userId, 'deactivated', by)
      await browserSessions.endOthers(trx, userId, undefined, by)
      await jobs.enqueue(trx, 'user.sync', { userId, erase }, { userId })
      return { user: { ...user, deactivatedAt }, ended }
    })
    await sessions.settle(ended)
    return user
  }

  /**
   * Sets the password of a user, who may have had none; `endSessions` signs out all browsers and apps, for when the
   * old one was in wrong hands. Throws one of `PasswordRefusal`, UnavailableError.
   */
  async function setPassword(
    userId: string,
    password: string,
    { endSessions }: { endSessions: boolean },
    by: By,
  ): Promise<void> {
    const before = await findUserById(db, userId)
    if (!before) throw unknownUser()
    passwords.assertAcceptable(password, before.localpart)
    const hash = await passwords.hash(password)
    const ended = await db.transaction(async (trx) => {
      await lockRow(trx, userId)
      const at = clock.now()
      await setPasswordHash(trx, userId, hash, at)
      await recordAudit(trx, at, { event: 'password.set', ...by, userId, details: { endSessions } })
      if (!endSessions) return []
      const ended = await sessions.endAllWithin(trx, userId, 'password_changed', by)
      await browserSessions.endOthers(trx, userId, undefined, by)
      return ended
    })
    await sessions.settle(ended)
  }

  return { setAdmin, lock, unlock, reactivate, deactivate, setPassword }
}

function unknownUser(): PosternError {
  return new PosternError('unknown_user', 'There is no such user', { status: 404 })
}

export type Accounts = ReturnType<typeof createAccounts>
