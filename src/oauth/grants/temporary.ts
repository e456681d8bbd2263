import type { KoaContextWithOIDC } from 'oidc-provider'
import { isUnavailable } from '../../storage/availability.ts'
import { answerUnavailable, asOAuthError, isTemporary } from './errors.ts'

type GrantHandler = (ctx: KoaContextWithOIDC) => Promise<void>

/**
 * Keeps trouble of ours from becoming a sign-out (invariant 7): a grant that fails because the database or the
 * homeserver is away, or too much is going on, is answered 503, and the same request works again.
 */
export function answerTemporary(grant: GrantHandler): GrantHandler {
  return async (ctx) => {
    try {
      await grant(ctx)
    } catch (error) {
      if (isTemporary(error)) {
        const seconds = 'retryAfterSeconds' in error ? error.retryAfterSeconds : 5
        return answerUnavailable(
          ctx as never,
          error,
          'The sign-in cannot be completed right now, try again',
          seconds,
        )
      }
      if (isUnavailable(error))
        return answerUnavailable(ctx as never, error, 'The database cannot be reached, try again', 5)
      throw asOAuthError(error)
    }
  }
}
