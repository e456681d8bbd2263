import type { Knex } from 'knex'
import { z } from 'zod'
import { findLocalpartByEmail } from '../users/store.ts'
import { checkMembers, optional } from './body.ts'
import { MatrixError } from './matrix-error.ts'

const identifierSchema = z.object({
  identifier: optional(
    z.object({
      type: z.string(),
      user: optional(z.string()),
      medium: optional(z.string()),
      address: optional(z.string()),
    }),
  ),
  // The members of the time before `identifier`, which win as they do in Synapse.
  user: optional(z.string()),
  medium: optional(z.string()),
  address: optional(z.string()),
})

/** A name that no user has, yet one that is counted and takes its time like any other (invariant 9). */
function nobody(address: string): string {
  return `mailto:${address}`
}

async function userOfAddress(db: Knex, serverName: string, medium?: string | null, address?: string | null) {
  if (medium == null || address == null) {
    throw new MatrixError(400, 'M_BAD_JSON', "A third-party identifier needs 'medium' and 'address'")
  }
  if (medium !== 'email') {
    throw new MatrixError(400, 'M_UNKNOWN', 'Unsupported login identifier: of third parties only e-mail is')
  }
  const localpart = await findLocalpartByEmail(db, address.trim())
  return localpart === undefined ? nobody(address.trim()) : `@${localpart}:${serverName}`
}

/**
 * The user that a request means: a localpart or a whole user ID as it was typed (Matrix 1.18, "Identifier types"),
 * for a confirmed e-mail address the user ID of its owner, and for an unknown one a name that nobody has.
 * @throws MatrixError
 */
export async function readIdentifier(
  db: Knex,
  serverName: string,
  body: Record<string, unknown>,
): Promise<string> {
  const { identifier, user, medium, address } = checkMembers(identifierSchema, body)
  if (user != null) return user
  if (identifier == null) {
    if (medium != null || address != null) return userOfAddress(db, serverName, medium, address)
    throw new MatrixError(400, 'M_BAD_JSON', "The member 'identifier' is missing")
  }
  if (identifier.type === 'm.id.user') {
    if (identifier.user != null) return identifier.user
    throw new MatrixError(400, 'M_BAD_JSON', "The member 'identifier.user' is missing")
  }
  if (identifier.type === 'm.id.thirdparty') {
    return userOfAddress(db, serverName, identifier.medium, identifier.address)
  }
  throw new MatrixError(400, 'M_UNKNOWN', 'Unsupported login identifier: use m.id.user or m.id.thirdparty')
}
