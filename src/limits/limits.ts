import type { Knex } from 'knex'
import type { Clock } from '../clock.ts'
import type { LimitsConfig } from '../config/sections/limits.ts'
import { LimitedError } from '../errors.ts'
import { addressKey, nameKey } from './keys.ts'
import { type Counter, countInTurn, giveBack, giveBackAndMark, isCounted, type Limit } from './store.ts'

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

const KNOWN_ADDRESS: Limit = { points: 1, per_seconds: 30 * 86_400 }

/**
 * Limits against guessing, counted in the database.
 *
 * A name has two counters. The strict one counts name and address together, so that a stranger who guesses cannot
 * keep the owner out, who comes from another address. The second counts the name from everywhere, four times as
 * high: guesses from a whole botnet end there. Addresses from which this user signed in within the last 30 days
 * pass it, so that even then the owner gets in at home.
 */
export function createLimits({
  db,
  clock,
  config,
}: {
  db: Knex
  clock: Clock
  config: LimitsConfig
}): Limits {
  const perUser = config.sign_in_per_user
  const ceiling: Limit = { points: perUser.points * CEILING_FACTOR, per_seconds: perUser.per_seconds }

  /** Counts in turn: an address that is refused must not use up the points of a name. @returns the seconds to wait */
  async function take(
    counters: readonly Counter[],
  ): Promise<{ refusedBy: Counter; seconds: number } | undefined> {
    const now = clock.now()
    const counted = await countInTurn(db, now, counters)
    // Only the last that was counted may have refused.
    const [last, refusedBy] = [counted.at(-1), counters[counted.length - 1]]
    if (!last || !refusedBy || last.allowed) return undefined
    return { refusedBy, seconds: Math.max(1, Math.ceil((last.expiresAt - now.getTime()) / 1000)) }
  }

  function refusal(seconds: number): LimitedError {
    return new LimitedError('Too many attempts: please wait and try again', seconds)
  }

  async function takeOne(counter: Counter): Promise<void> {
    const refused = await take([counter])
    if (refused) throw refusal(refused.seconds)
  }

  return {
    signIn: {
      async begin({ ip, name }) {
        const address = addressKey(ip)
        const pair = nameKey(`${name}\n${address}`)
        const byName = { key: `sign_in_name:${nameKey(name)}`, limit: ceiling }
        const known = { key: `sign_in_known:${pair}`, limit: KNOWN_ADDRESS }
        const counters = [
          { key: `sign_in_address:${address}`, limit: config.sign_in_per_address },
          { key: `sign_in_name_address:${pair}`, limit: perUser },
          byName,
        ]
        const refused = await take(counters)
        if (refused && !(refused.refusedBy === byName && (await isCounted(db, clock.now(), known)))) {
          throw refusal(refused.seconds)
        }
        return {
          giveBack: () => giveBack(db, counters),
          succeed: () => giveBackAndMark(db, clock.now(), counters, known),
        }
      },
    },
    userCode: {
      async begin(ip) {
        const counter = { key: `user_code:${addressKey(ip)}`, limit: config.user_code_per_address }
        await takeOne(counter)
        return { giveBack: () => giveBack(db, [counter]) }
      },
    },
    registration: {
      take: (ip) =>
        takeOne({ key: `registration:${addressKey(ip)}`, limit: config.registration_per_address }),
    },
  }
}
