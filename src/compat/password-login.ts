import type { Knex } from 'knex'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { PasswordSignIn } from '../signin/password-sign-in.ts'
import { checkMembers } from './body.ts'
import { readIdentifier } from './identifier.ts'
import type { LoginType } from './login.ts'
import { MatrixError, userLocked } from './matrix-error.ts'

const passwordSchema = z.object({ password: z.string() })

/** The one answer to a wrong password, an unknown user, one without a password and one who is gone (invariant 9). */
function wrongCredentials(): MatrixError {
  return new MatrixError(403, 'M_FORBIDDEN', 'Invalid username/password')
}

/** `m.login.password`: the same check, limits and audit events as the sign-in page's. */
export function createPasswordLogin(deps: {
  db: Knex
  clock: Clock
  passwordSignIn: PasswordSignIn
  serverName: string
}): LoginType {
  const { db, clock, passwordSignIn, serverName } = deps

  return async function passwordLogin(ctx, body) {
    const { password } = checkMembers(passwordSchema, body)
    const identifier = await readIdentifier(db, serverName, body)
    const request = {
      identifier,
      password,
      ip: ctx.state.ip as string,
      userAgent: ctx.get('User-Agent') || undefined,
      door: 'compat' as const,
    }
    const result = await passwordSignIn.begin(request)
    if (!result.ok) throw result.reason === 'locked' ? userLocked() : wrongCredentials()
    const { user, value: begun } = result
    return {
      user,
      event: begun.event,
      refused: begun.refused,
      asked: { type: 'password', authenticatedAt: clock.now() },
      // The device is made at the homeserver between the check and here: a session must not come from a password
      // that was changed, or of a user who was locked, in between.
      consume: async (trx) => {
        const { user: present } = await begun.hold(trx)
        if (present.lockedAt) throw userLocked()
      },
    }
  }
}
