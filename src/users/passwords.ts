import type { Knex } from 'knex'
import type { PasswordsConfig } from '../config/sections/passwords.ts'
import { createHashingQueue } from './hashing-queue.ts'
import { assertAcceptablePassword } from './password-policy.ts'
import * as schemes from './password-schemes.ts'
import { highestBcryptCost } from './store.ts'

/**
 * What a sign-in hashes at most, in bytes. More than a new password may have, because an imported one may be
 * longer; short enough that a megabyte is refused before it costs anything (check 62).
 */
const MAX_CHECKED_BYTES = 4096

export type PasswordCheck =
  /** `upgraded` is a new hash to store in place of the old one, where that has another scheme or parameters. */
  { ok: true; upgraded: string | undefined } | { ok: false }

export interface Passwords {
  /** Whether people may sign in with a password at all. */
  readonly enabled: boolean
  /** Throws UnavailableError where too many checks are waiting, before anything is done in vain. */
  assertRoom(): void
  /** How many are checked and how many wait at this moment. */
  load(): { running: number; waiting: number }
  /**
   * Checks a password against a stored hash, or against nothing where the user or the password does not exist:
   * both take the same time. Throws UnavailableError where too many checks are waiting.
   */
  check(password: string, stored: string | undefined): Promise<PasswordCheck>
  /** Hashes a new password. Throws UnavailableError where too many checks are waiting. */
  hash(password: string): Promise<string>
  /** Throws `password_refused` with what to do where a new password is too short, too long or easily guessed. */
  assertAcceptable(password: string, localpart: string): void
}

export function createPasswords({ db, config }: { db: Knex; config: PasswordsConfig }): Passwords {
  const queue = createHashingQueue(config.max_concurrent, config.max_queue)
  const pepper = config.bcrypt_pepper ?? ''

  async function isRight(bytes: Buffer, stored: string): Promise<boolean> {
    if (schemes.isBcrypt(stored)) return schemes.verifyBcrypt(stored, bytes, pepper)
    return schemes.isArgon2(stored) && schemes.verifyArgon2(stored, bytes)
  }

  /**
   * Makes every failure cost one argon2id hash and, while imported bcrypt hashes remain, one bcrypt hash of the
   * highest cost among them (invariant 9). Doing the work keeps the times equal under load too, which padding to a
   * measured duration would not.
   */
  async function completeFailure(bytes: Buffer, stored: string | undefined): Promise<void> {
    if (stored === undefined || !schemes.isArgon2(stored)) await schemes.wasteArgon2(bytes)
    const highest = await highestBcryptCost(db)
    if (highest === undefined) return
    const done = stored !== undefined && schemes.isBcrypt(stored) ? schemes.bcryptCost(stored) : undefined
    await (done === undefined
      ? schemes.wasteOneBcrypt(bytes, highest)
      : schemes.wasteBcrypt(bytes, done, highest))
  }

  return {
    enabled: config.enabled,
    assertRoom: queue.assertRoom,
    load: queue.load,

    async check(password, stored) {
      if (Buffer.byteLength(password) > MAX_CHECKED_BYTES) return { ok: false }
      return queue<PasswordCheck>(async () => {
        const bytes = schemes.normalise(password)
        if (stored !== undefined && (await isRight(bytes, stored))) {
          const upgraded = schemes.isOutdated(stored) ? await schemes.hashArgon2(bytes) : undefined
          return { ok: true, upgraded }
        }
        await completeFailure(bytes, stored)
        return { ok: false }
      })
    },

    hash: (password) => queue(() => schemes.hashArgon2(schemes.normalise(password))),

    assertAcceptable: (password, localpart) =>
      assertAcceptablePassword(password, { localpart, minimumLength: config.minimum_length }),
  }
}
