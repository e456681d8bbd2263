import type { Knex } from 'knex'
import type { LimitsConfig } from '../config/sections/limits.ts'
import { LimitedError } from '../errors.ts'
import { createCounter, type Limit } from './counter.ts'
import { addressKey, nameKey } from './keys.ts'

/** An attempt that counts as failed until it is known to have been right. */
export interface Attempt {
  /** It was right, or was never tried: it doesn't count. */
  giveBack(): Promise<void>
}

export interface SignInAttempt extends Attempt {
  /** The password was right: it doesn't count, and the address is known for this name from now on. */
  succeed(): Promise<void>
}

export interface Limits {
  /** Everywhere a password is asked: web, compat login, password change share this one (check 60). */
  signIn: {
    /**
     * Counts an attempt before the password is looked at, so that many at once cannot slip through together.
     * @param name what was typed, in a form of its own for each user; counted whether the user exists or not
     * @throws LimitedError
     */
    begin(attempt: { ip: string; name: string }): Promise<SignInAttempt>
  }
  /** User codes typed in on the device page. */
  userCode: { begin(ip: string): Promise<Attempt> }
  /** Registrations of clients. Throws LimitedError. */
  registration: { take(ip: string): Promise<void> }
}

/** Someone who guesses one name's password from many addresses gets so many times the points of one address. */
const CEILING_FACTOR = 4

const KNOWN_ADDRESS_SECONDS = 30 * 86_400

/**
 * Limits against guessing, counted in the database.
 *
 * A name has two counters. The strict one counts name and address together, so that a stranger who guesses cannot
 * keep the owner out, who comes from another address. The second counts the name from everywhere, four times as
 * high: guesses from a whole botnet end there. Addresses from which this user signed in within the last 30 days
 * pass it, so that even then the owner gets in at home.
 */
export function createLimits({ db, config }: { db: Knex; config: LimitsConfig }): Limits {
  const perUser = config.sign_in_per_user
  const ceiling: Limit = { points: perUser.points * CEILING_FACTOR, per_seconds: perUser.per_seconds }
  const byAddress = createCounter(db, 'sign_in_address', config.sign_in_per_address)
  const byNameAtAddress = createCounter(db, 'sign_in_name_address', perUser)
  const byName = createCounter(db, 'sign_in_name', ceiling)
  const known = createCounter(db, 'sign_in_known', { points: 1, per_seconds: KNOWN_ADDRESS_SECONDS })
  const userCodes = createCounter(db, 'user_code', config.user_code_per_address)
  const registrations = createCounter(db, 'registration', config.registration_per_address)

  return {
    signIn: {
      async begin({ ip, name }) {
        const address = addressKey(ip)
        const user = nameKey(name)
        const pair = nameKey(`${name}\n${address}`)
        // One after the other: an address that is refused must not use up the points of a name.
        await byAddress.take(address)
        await byNameAtAddress.take(pair)
        try {
          await byName.take(user)
        } catch (error) {
          if (!(error instanceof LimitedError && (await known.has(pair)))) throw error
        }
        const giveBack = async () => {
          await Promise.all([
            byAddress.giveBack(address),
            byNameAtAddress.giveBack(pair),
            byName.giveBack(user),
          ])
        }
        return {
          giveBack,
          async succeed() {
            await Promise.all([giveBack(), known.mark(pair)])
          },
        }
      },
    },
    userCode: {
      async begin(ip) {
        const address = addressKey(ip)
        await userCodes.take(address)
        return { giveBack: () => userCodes.giveBack(address) }
      },
    },
    registration: { take: (ip) => registrations.take(addressKey(ip)) },
  }
}
