/**
 * The base of every error that Postern throws on purpose. `code` is stable and the contract; `message` may be
 * shown to whoever asked; `detail` is for the log only. Each surface (OAuth JSON, Matrix JSON, HTML) has one
 * renderer that turns it into an answer.
 */
export class PosternError extends Error {
  readonly code: string
  readonly status: number
  readonly detail: string | undefined

  constructor(
    code: string,
    message: string,
    { status = 400, detail, cause }: { status?: number; detail?: string; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.code = code
    this.status = status
    this.detail = detail
  }
}

/** Something that works again later: overload, the database or the homeserver away. Answered 503 with Retry-After. */
export class UnavailableError extends PosternError {
  readonly retryAfterSeconds: number

  constructor(
    message: string,
    { retryAfterSeconds = 5, cause }: { retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super('temporarily_unavailable', message, { status: 503, cause })
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** Too many attempts. Answered 429 with Retry-After, except at the token endpoint, where 4xx means logged out. */
export class LimitedError extends PosternError {
  readonly retryAfterSeconds: number

  constructor(message: string, retryAfterSeconds: number) {
    super('limited', message, { status: 429 })
    this.retryAfterSeconds = retryAfterSeconds
  }
}
