import type { Context } from 'koa'
import { PosternError } from '../errors.ts'

/** The standard error codes of the client-server API that are answered here (Matrix 1.18, "Standard error response"). */
export type ErrCode =
  | 'M_APPSERVICE_LOGIN_UNSUPPORTED'
  | 'M_BAD_JSON'
  | 'M_EXCLUSIVE'
  | 'M_FORBIDDEN'
  | 'M_INVALID_PARAM'
  | 'M_LIMIT_EXCEEDED'
  | 'M_MISSING_PARAM'
  | 'M_MISSING_TOKEN'
  | 'M_NOT_FOUND'
  | 'M_NOT_JSON'
  | 'M_TOO_LARGE'
  | 'M_UNKNOWN'
  | 'M_UNKNOWN_TOKEN'
  | 'M_UNRECOGNIZED'
  | 'M_USER_DEACTIVATED'
  | 'M_USER_LOCKED'
  | 'M_WEAK_PASSWORD'

/** An error of the client-server API with its status and, where the specification has more members, those. */
export class MatrixError extends PosternError {
  readonly members: Readonly<Record<string, unknown>>

  constructor(
    status: number,
    errcode: ErrCode,
    message: string,
    { members = {}, detail }: { members?: Record<string, unknown>; detail?: string } = {},
  ) {
    super(errcode, message, { status, ...(detail === undefined ? {} : { detail }) })
    this.members = members
  }
}

/**
 * A locked user, told only to whoever has shown who they are (invariants 8 and 9): with `soft_logout` the app keeps
 * its keys and its device (Matrix 1.18, "Account locking").
 */
export function userLocked(): MatrixError {
  return new MatrixError(401, 'M_USER_LOCKED', 'This account is locked: ask whoever runs this server', {
    members: { soft_logout: true },
  })
}

/** What every other error of this service is called in Matrix JSON, by its status. */
function errcodeOf(status: number, code: string): ErrCode {
  if (code.startsWith('M_')) return code as ErrCode
  if (code === 'policy_denied' || code === 'session_limit') return 'M_FORBIDDEN'
  if (status === 413) return 'M_TOO_LARGE'
  if (status === 429) return 'M_LIMIT_EXCEEDED'
  if (status === 404 || status === 405) return 'M_UNRECOGNIZED'
  return 'M_UNKNOWN'
}

/** The renderer of errors on the client-server API. */
export function answerMatrixError(
  ctx: Context,
  failure: {
    status: number
    code: string
    message: string
    retryAfterSeconds?: number
    members?: Readonly<Record<string, unknown>>
  },
): void {
  const { status, code, message, retryAfterSeconds, members } = failure
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = {
    errcode: errcodeOf(status, code),
    error: message,
    // Deprecated in favour of the header, which older apps do not read.
    ...(retryAfterSeconds ? { retry_after_ms: retryAfterSeconds * 1000 } : {}),
    ...members,
  }
}
