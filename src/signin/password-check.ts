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

/** A password that was right when it was compared. */
export interface RightPassword {
  /** As the user was read before the comparison. */
  user: User
  /** Whether its hash is to be made anew. */
  outdated: boolean
  /**
   * Holds the user and the password as they were until the transaction ends, asks the operator's rules about that user,
   * and stores a new hash in place of an outdated one.
   * @throws StalePasswordError where the password is another one by now; PolicyDeniedError
   */
  hold(trx: Knex): Promise<{ user: User; hash: string }>
}

/** The password was changed, or hashed anew by a twin of this request, after it was read. */
class StalePasswordError extends UnavailableError {
  constructor() {
    super('The password is being changed: try again', { retryAfterSeconds: 1 })
  }
}

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

  /**
   * Only behind a right password: what the operator's rules say of a user is no business of whoever does not have it
   * (invariant 9). What is wrong with the account itself, the caller tells.
   */
  function ask(attempt: PasswordAttempt, user: User): void {
    if (!user.deactivatedAt && !user.lockedAt) gate.passwordLogin(attempt.door ?? 'page', user, attempt)
  }

  function rightPassword(
    attempt: PasswordAttempt,
    user: User,
    hash: string,
    upgraded: string | undefined,
  ): RightPassword {
    return {
      user,
      outdated: upgraded !== undefined,
      async hold(trx) {
        const held = await holdCredentials(trx, user.id, hash, upgraded)
        if (!held) throw new StalePasswordError()
        ask(attempt, held)
        return { user: held, hash: upgraded ?? hash }
      },
    }
  }

  async function compare(
    attempt: PasswordAttempt,
    localpart: string | undefined,
  ): Promise<PasswordChecked<RightPassword>> {
    const found = localpart === undefined ? undefined : await findCredentials(db, localpart)
    const check = await passwords.check(attempt.password, found?.hash)
    if (!check.ok || found?.hash === undefined) return { ok: false, user: found?.user }
    return { ok: true, value: rightPassword(attempt, found.user, found.hash, check.upgraded) }
  }

  async function compareAndUse<T>(
    attempt: PasswordAttempt,
    localpart: string | undefined,
    use: WithRightPassword<T>,
  ): Promise<PasswordChecked<T>> {
    const compared = await compare(attempt, localpart)
    if (!compared.ok) return compared
    return db.transaction(async (trx) => {
      // Between the check and here the user may have been locked or deactivated, and the password changed.
      const { user, hash } = await compared.value.hold(trx)
      return { ok: true, value: await use(trx, user, hash) }
    })
  }

  async function compareForLater(
    attempt: PasswordAttempt,
    localpart: string | undefined,
  ): Promise<PasswordChecked<RightPassword>> {
    const compared = await compare(attempt, localpart)
    if (!compared.ok) return compared
    const right = compared.value
    if (!right.outdated) {
      // Before a device is made for somebody who gets no session; the last word has whoever holds the user.
      ask(attempt, right.user)
      return compared
    }
    // At once: a twin that is under way finds the new hash when it compares again, rather than losing its sign-in.
    const { user, hash } = await db.transaction((trx) => right.hold(trx))
    return { ok: true, value: rightPassword(attempt, user, hash, undefined) }
  }

  async function again<T>(work: () => Promise<T>): Promise<T> {
    for (let round = 1; ; round++) {
      try {
        return await work()
      } catch (error) {
        if (round === ATTEMPTS || !(error instanceof StalePasswordError)) throw error
      }
    }
  }

  async function withinLimits<T>(
    attempt: PasswordAttempt,
    work: (localpart: string | undefined) => Promise<PasswordChecked<T>>,
  ): Promise<PasswordChecked<T>> {
    // In a flood the database must not be asked for people who cannot be served anyway (check 61).
    passwords.assertRoom()
    const localpart = parseUserIdentifier(attempt.identifier, serverName)
    const counted = await limits.signIn.begin({ ip: attempt.ip, name: localpart ?? attempt.identifier })
    // A count that cannot be given back is only one attempt less; it must not undo or hide what happened.
    const giveBack = (counter: Promise<void>) => counter.catch(() => undefined)
    try {
      const checked = await work(localpart)
      if (checked.ok) await giveBack(counted.succeed())
      return checked
    } catch (error) {
      // Trouble of ours says nothing about the password.
      await giveBack(counted.giveBack())
      throw error
    }
  }

  return {
    /**
     * Checks a password and, where it is right, runs `use`. Locked and deactivated users pass: the caller looks.
     * Throws LimitedError, UnavailableError, PolicyDeniedError, and what `use` throws.
     */
    checkPassword: <T>(attempt: PasswordAttempt, use: WithRightPassword<T>): Promise<PasswordChecked<T>> =>
      withinLimits(attempt, (localpart) => again(() => compareAndUse(attempt, localpart, use))),

    /**
     * As `checkPassword`, for whoever has a transaction of their own in which they hold what was checked: the homeserver
     * is asked in between, which must not happen in one.
     */
    comparePassword: (attempt: PasswordAttempt): Promise<PasswordChecked<RightPassword>> =>
      withinLimits(attempt, (localpart) => again(() => compareForLater(attempt, localpart))),
  }
}

type PasswordChecks = ReturnType<typeof createPasswordCheck>
export type CheckPassword = PasswordChecks['checkPassword']
export type ComparePassword = PasswordChecks['comparePassword']
