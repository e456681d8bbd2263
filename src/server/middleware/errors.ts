import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import { LimitedError, PosternError, UnavailableError } from '../../errors.ts'
import { HomeserverError } from '../../homeserver/errors.ts'
import { isUnavailable } from '../../storage/availability.ts'
import type { Pages } from '../pages.ts'

/** An answer that an error becomes on any surface. */
interface Failure {
  status: number
  code: string
  message: string
  retryAfterSeconds?: number
}

/** oidc-provider's errors, where one of our own routes lets the library throw. */
interface LibraryError {
  error: string
  error_description?: string
  statusCode?: number
  expose?: boolean
}

function isLibraryError(error: unknown): error is Error & LibraryError {
  return error instanceof Error && typeof (error as Error & Partial<LibraryError>).error === 'string'
}

/** What an error says to whoever asked. Unknown errors say nothing of themselves. */
export function toFailure(error: unknown): Failure {
  if (error instanceof UnavailableError || error instanceof LimitedError) {
    const { status, code, message, retryAfterSeconds } = error
    return { status, code, message, retryAfterSeconds }
  }
  if (error instanceof HomeserverError) {
    const message = 'The homeserver cannot be reached. Try again in a moment'
    return { status: 503, code: 'temporarily_unavailable', message, retryAfterSeconds: 5 }
  }
  if (error instanceof PosternError) return { status: error.status, code: error.code, message: error.message }
  if (isLibraryError(error) && error.expose !== false) {
    const { error: code, error_description: message = error.message, statusCode: status = 400 } = error
    return { status, code, message }
  }
  if (isUnavailable(error)) {
    const message = 'The database cannot be reached. Try again in a moment'
    return { status: 503, code: 'temporarily_unavailable', message, retryAfterSeconds: 5 }
  }
  return { status: 500, code: 'server_error', message: 'Something went wrong here' }
}

/** Whether a person reads the answer: pages are everything outside the protocol endpoints. */
export function isPage(path: string): boolean {
  return !/^\/(?:oauth2\/(?!logout)|\.well-known\/|_matrix\/|health$|ready$)/.test(path)
}

function answerJson(ctx: Context, failure: Failure): void {
  ctx.status = failure.status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { error: failure.code, error_description: failure.message }
}

/** The last-resort handler: every error that a route lets out becomes an answer here, and unknown ones are logged. */
export function errors({ pages, log }: { pages: Pages; log: Logger }): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const failure = toFailure(error)
      const { requestId } = ctx.state
      if (failure.status >= 500) log.error({ err: error, requestId, path: ctx.path }, 'request.failed')
      if (failure.retryAfterSeconds) ctx.set('Retry-After', String(failure.retryAfterSeconds))
      if (isPage(ctx.path)) pages.failure(ctx, failure)
      else answerJson(ctx, failure)
    }
    if (ctx.status === 404 && ctx.body == null) {
      const failure = { status: 404, code: 'not_found', message: 'There is nothing at this address' }
      if (isPage(ctx.path)) pages.failure(ctx, failure)
      else answerJson(ctx, failure)
    }
  }
}
