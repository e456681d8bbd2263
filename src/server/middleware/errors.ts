import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import { answerMatrixError, MatrixError } from '../../compat/matrix-error.ts'
import { LimitedError, PosternError, UnavailableError } from '../../errors.ts'
import { HomeserverError } from '../../homeserver/errors.ts'
import { noteUnavailable } from '../../oauth/grants/errors.ts'
import { PolicyDeniedError } from '../../policy/refusal.ts'
import { isUnavailable } from '../../storage/availability.ts'
import type { Words } from '../../views/index.ts'
import type { Pages } from '../pages.ts'
import { routeOf } from './route.ts'

/** An answer that an error becomes on any surface. */
interface Failure {
  status: number
  code: string
  message: string
  retryAfterSeconds?: number
  /** More members of a Matrix error. */
  members?: Readonly<Record<string, unknown>>
  /** What a page says, where it is not `message`. */
  words?: Words
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
  if (error instanceof MatrixError) {
    return { status: error.status, code: error.code, message: error.message, members: error.members }
  }
  if (error instanceof PolicyDeniedError) {
    const { status, code, message, words } = error
    return { status, code, message, words }
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

/** Whether the same request works again by itself. What only the operator can set right wakes somebody up. */
function passes(error: unknown): boolean {
  return !(error instanceof HomeserverError) || error.code === 'homeserver_unavailable'
}

/** Why something cannot be answered now, in words for the log. */
function reasonOf(error: unknown): { code: string; reason: string } {
  const { code, message, detail, cause } = error as PosternError
  const below = cause instanceof Error ? `: ${cause.message}` : ''
  return { code: String(code ?? 'unavailable'), reason: `${detail ?? message}${below}` }
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

/** The renderer of the surface that was asked: a page, Matrix JSON or OAuth JSON. */
function answer(ctx: Context, failure: Failure, pages: Pages): void {
  if (isPage(ctx.path)) pages.failure(ctx, failure)
  else if (ctx.path.startsWith('/_matrix/')) answerMatrixError(ctx, failure)
  else answerJson(ctx, failure)
}

const NOT_FOUND = { status: 404, code: 'not_found', message: 'There is nothing at this address' }
/** Matrix 1.18, "Standard error response": a known address with a wrong method is 405, both with `M_UNRECOGNIZED`. */
const WRONG_METHOD = { status: 405, code: 'M_UNRECOGNIZED', message: 'This method is not used here' }

/** The last-resort handler: every error that a route lets out becomes an answer here, and unknown ones are logged. */
export function errors({ pages, log }: { pages: Pages; log: Logger }): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const failure = toFailure(error)
      if (failure.status === 503 && passes(error)) noteUnavailable(ctx, error)
      else if (failure.status >= 500) log.error({ err: error, route: routeOf(ctx) }, 'request.failed')
      if (failure.retryAfterSeconds) ctx.set('Retry-After', String(failure.retryAfterSeconds))
      answer(ctx, failure, pages)
    }
    const { unavailable } = ctx.state
    if (unavailable) log.warn({ ...reasonOf(unavailable), route: routeOf(ctx) }, 'request.unavailable')
    if (ctx.status === 404 && ctx.body == null) {
      const known = ctx.path.startsWith('/_matrix/') && ((ctx.matched as unknown[]) ?? []).length > 0
      answer(ctx, known ? WRONG_METHOD : NOT_FOUND, pages)
    }
  }
}
