import type { Context } from 'koa'
import { errors } from 'oidc-provider'
import { PosternError, UnavailableError } from '../../errors.ts'
import { HomeserverError } from '../../homeserver/errors.ts'

/** Leaves to the last of the handlers what a 503 is about: it logs each of them, whoever answered. */
export function noteUnavailable(ctx: Context, cause: unknown): void {
  ctx.state.unavailable = cause
}

/**
 * OAuth has no word for "later", and a Matrix client takes any 4xx here for a sign-out (invariant 7): overload,
 * the database or the homeserver away are answered 503 with Retry-After.
 */
export function answerUnavailable(
  ctx: Context,
  cause: unknown,
  message: string,
  retryAfterSeconds: number,
): void {
  noteUnavailable(ctx, cause)
  ctx.status = 503
  ctx.set('Retry-After', String(retryAfterSeconds))
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { error: 'temporarily_unavailable', error_description: message }
}

/** Our errors as the library's, so that its one renderer answers them. What is not ours passes through. */
export function asOAuthError(error: unknown): unknown {
  if (!(error instanceof PosternError)) return error
  if (error.code === 'invalid_grant') return new errors.InvalidGrant(error.detail ?? error.message)
  if (error.code === 'invalid_client')
    return new errors.InvalidClient(error.message, error.detail ?? error.code)
  if (error.code === 'session_limit') return new errors.InvalidGrant(error.message)
  // RFC 6749 §5.2 has no better word; the description says what it was.
  if (error.code === 'policy_denied') return new errors.InvalidScope(error.message, '')
  if (error.code === 'invalid_scope') return new errors.InvalidScope(error.message, '')
  if (error.code === 'invalid_request') return new errors.InvalidRequest(error.message)
  return error
}

/** Whether the same request will work again later. */
export function isTemporary(error: unknown): error is UnavailableError | HomeserverError {
  return error instanceof UnavailableError || error instanceof HomeserverError
}
