import type { Context } from 'koa'
import { z } from 'zod'
import { InvalidRefreshTokenError, type Refresh, UserLockedError } from '../tokens/refresh.ts'
import { checkMembers, readJson } from './body.ts'
import { MatrixError, userLocked } from './matrix-error.ts'

const refreshSchema = z.object({ refresh_token: z.string() })

/** `POST /refresh`: the same rotation as OAuth's, with the errors of the client-server API. */
export function createRefreshRoute({ refresh }: { refresh: Refresh }) {
  return async function refreshRoute(ctx: Context): Promise<void> {
    const { refresh_token: presented } = checkMembers(refreshSchema, await readJson(ctx))
    ctx.set('Cache-Control', 'no-store')
    try {
      const pair = await refresh(presented, { kind: 'compat', clientId: null, authenticated: false })
      ctx.body = {
        access_token: pair.accessToken,
        refresh_token: pair.refreshToken,
        expires_in_ms: pair.expiresIn * 1000,
      }
    } catch (error) {
      // Whoever holds the token is the user's app. OAuth has no word for a lock and says 503; Matrix has one, with
      // which apps keep their keys and come back (Matrix 1.18, "Account locking"). Nothing is consumed either way.
      if (error instanceof UserLockedError) throw userLocked()
      if (!(error instanceof InvalidRefreshTokenError)) throw error
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Invalid refresh token', {
        // An expired one is no reason to delete a device's keys: the same device may sign in again.
        members: { soft_logout: error.reason === 'expired' },
        detail: error.reason,
      })
    }
  }
}
