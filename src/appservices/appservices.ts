import { timingSafeEqual } from 'node:crypto'
import { hashSecret } from '../tokens/format.ts'
import type { Appservice } from './registration.ts'

/** The appservices that the operator named, for whoever has a request of one at hand. */
export function createAppservices({
  appservices,
  serverName,
}: {
  appservices: readonly Appservice[]
  serverName: string
}) {
  return {
    /** Whether there are any, and whether one of them signs in rather than making devices itself (MSC4190). */
    any: appservices.length > 0,
    anySignsIn: appservices.some(({ managesDevices }) => !managesDevices),

    /** The appservice of an `as_token`. Hashes are compared, in constant time and with all of them. */
    byToken(token: string): Appservice | undefined {
      const hash = hashSecret(token)
      let found: Appservice | undefined
      for (const one of appservices) if (timingSafeEqual(one.tokenHash, hash)) found = one
      return found
    },

    /**
     * Whether a user is the appservice's: its own bot, or in its namespace, exclusive or not. As in Synapse (Python's
     * `re.match`), a pattern has to match from the start of the user ID, and may leave a rest.
     * @param localpart letter by letter as the user has it: names that differ in case are different users here
     */
    owns(appservice: Appservice, localpart: string): boolean {
      if (localpart === appservice.senderLocalpart) return true
      const userId = `@${localpart}:${serverName}`
      return appservice.users.some((pattern) => pattern.matcher(userId).lookingAt())
    },
  }
}

export type Appservices = ReturnType<typeof createAppservices>
