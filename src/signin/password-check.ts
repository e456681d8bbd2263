import type { Knex } from 'knex'
import { UnavailableError } from '../errors.ts'
import type { Limits } from '../limits/limits.ts'
import type { PasswordDoor, PolicyGate } from '../policy/gate.ts'
import { parseUserIdentifier } from '../users/localpart.ts'
import type { Passwords } from '../users/passwords.ts'
import { findCredentials, holdCredentials, type User } from '../users/store.ts'

export interface PasswordAttempt {
  /** What was typed: a localpart or a whole user ID. */
  identifier: string
  password: string
  ip: string
  userAgent?: string | null | undefined
  /** Where it was typed; on a page of ours where nothing is said. */
  door?: PasswordDoor
}

/**
 * What is done with a right password, in a transaction in which neither user nor password can change. `hash` is how the
 * password is stored.
 */
export type WithRightPassword<T> = (trx: Knex, user: User, hash: string) => Promise<T>

export type PasswordChecked<T> =
  | { ok: true; value: T }
  | { ok: false /** the user that was meant, where there is one */; user: User | undefined }

/** The password was changed, or hashed anew by a twin of this request, after it was read. */
class StalePasswordError extends Error {}

const ATTEMPTS = 3

/**
 * The one place where a typed password is compared: limits, the same time for strangers (invariant 9), the upgrade
 * of old hashes. Sign-in, compat login and password change come through here and share its limits (check 60).
 */
export function createPasswordCheck(deps: {
  db: Knex
  passwords: Passwords
  limits: Limits
  serverName: string
  gate: Pick<PolicyGate, 'passwordLogin'>
}) {
  const { db, passwords, limits, serverName, gate } = deps

  async function compare<T>(
    attempt: PasswordAttempt,
    localpart: string | undefined,
    use: WithRightPassword<T>,
  ): Promise<PasswordChecked<T>> {
    const found = localpart === undefined ? undefined : await findCredentials(db, localpart)
    const check = await passwords.check(attempt.password, found?.hash)
    if (!check.ok || found?.hash === undefined) return { ok: false, user: found?.user }
    const checked = found.hash
    return db.transaction(async (trx) => {
      // Between the check and here the user may have been locked or deactivated, and the password changed.
      const user = await holdCredentials(trx, found.user.id, checked, check.upgraded)
      if (!user) throw new StalePasswordError()
      // Only now: what the operator's rules say of a user is no business of whoever does not have the password
      // (invariant 9). What is wrong with the account itself, the caller tells.
      if (!user.deactivatedAt && !user.lockedAt) gate.passwordLogin(attempt.door ?? 'page', user, attempt)
      return { ok: true, value: await use(trx, user, check.upgraded ?? checked) }
    })
  }

  async function compareAgain<T>(
    attempt: PasswordAttempt,
    localpart: string | undefined,
    use: WithRightPassword<T>,
  ): Promise<PasswordChecked<T>> {
    for (let round = 0; round < ATTEMPTS; round++) {
      try {
        return await compare(attempt, localpart, use)
      } catch (error) {
        if (!(error instanceof StalePasswordError)) throw error
      }
    }
    throw new UnavailableError('The password is being changed: try again', { retryAfterSeconds: 1 })
  }

  /**
   * Checks a password and, where it is right, runs `use`. Locked and deactivated users pass: the caller looks.
   * Throws LimitedError, UnavailableError, PolicyDeniedError, and what `use` throws.
   */
  return async function checkPassword<T>(
    attempt: PasswordAttempt,
    use: WithRightPassword<T>,
  ): Promise<PasswordChecked<T>> {
    // In a flood the database must not be asked for people who cannot be served anyway (check 61).
    passwords.assertRoom()
    const localpart = parseUserIdentifier(attempt.identifier, serverName)
    const counted = await limits.signIn.begin({ ip: attempt.ip, name: localpart ?? attempt.identifier })
    // A count that cannot be given back is only one attempt less; it must not undo or hide what happened.
    const giveBack = (counter: Promise<void>) => counter.catch(() => undefined)
    try {
      const checked = await compareAgain(attempt, localpart, use)
      if (checked.ok) await giveBack(counted.succeed())
      return checked
    } catch (error) {
      // Trouble of ours says nothing about the password.
      await giveBack(counted.giveBack())
      throw error
    }
  }
}

export type CheckPassword = ReturnType<typeof createPasswordCheck>
