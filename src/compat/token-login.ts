import type { Knex } from 'knex'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { hashSecret } from '../tokens/format.ts'
import { findUserById } from '../users/store.ts'
import { checkMembers } from './body.ts'
import type { LoginType } from './login.ts'
import { MatrixError, userLocked } from './matrix-error.ts'
import { consumeLoginToken, findLoginToken } from './store.ts'

const tokenSchema = z.object({ token: z.string() })

function invalid(message = 'Invalid login token'): MatrixError {
  return new MatrixError(403, 'M_FORBIDDEN', message)
}

/** `m.login.token`: exchanges what the SSO page gave (Matrix 1.18, "Token-based login"). */
export function createTokenLogin(deps: {
  db: Knex
  clock: Clock
  sessions: Pick<Sessions, 'end'>
}): LoginType {
  const { db, clock, sessions } = deps

  return async function tokenLogin(ctx, body) {
    const asked = clock.now()
    const { token } = checkMembers(tokenSchema, body)
    const hash = hashSecret(token)

    /**
     * A token that comes again after it was exchanged has been stolen, by whoever came first or by whoever comes
     * now: the session that it made ends (RFC 6749 §4.1.2 says so of codes). Twins that were under way together only
     * lose the race.
     */
    async function refuseUsed(): Promise<never> {
      const used = await findLoginToken(db, hash)
      if (used?.sessionId && used.consumedAt && used.consumedAt < asked) {
        await sessions.end(used.sessionId, 'code_replay', { actor: 'client', ip: ctx.state.ip as string })
      }
      throw invalid()
    }

    const found = await findLoginToken(db, hash)
    if (!found) throw invalid()
    if (found.consumedAt) return refuseUsed()
    if (found.expiresAt <= asked) throw invalid('Login token expired')
    const user = await findUserById(db, found.userId)
    // Signed out in the browser since: then nothing may come of it any more.
    if (!user || user.deactivatedAt || !found.browserSessionLive) throw invalid()
    if (user.lockedAt) throw userLocked()
    return {
      user,
      browserSessionId: found.browserSessionId,
      asked: { type: 'token', authenticatedAt: found.authenticatedAt, approvedAt: found.createdAt },
      consume: async (trx, sessionId) => {
        if (!(await consumeLoginToken(trx, hash, sessionId, clock.now()))) throw invalid()
      },
    }
  }
}
