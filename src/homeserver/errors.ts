import { PosternError } from '../errors.ts'

/**
 * - `homeserver_unavailable`: no usable answer now (network, time-out, 5xx, a body that makes no sense); try again.
 * - `homeserver_refused`: the homeserver understood and said no; `errcode` says why.
 * - `homeserver_misconfigured`: the two don't fit together (secret, endpoint); only the operator can help.
 */
export type HomeserverErrorCode = 'homeserver_unavailable' | 'homeserver_refused' | 'homeserver_misconfigured'

const publicMessages: Record<HomeserverErrorCode, string> = {
  homeserver_unavailable:
    'The homeserver cannot be reached at the moment. Please try again in a little while.',
  homeserver_refused: 'The homeserver refused this.',
  homeserver_misconfigured: 'The homeserver and this service are not set up to work together yet.',
}

/**
 * Anything that goes wrong between this service and the homeserver. The message is fit for users; `detail` tells
 * the operator what to check. Where the homeserver is away or set up wrongly the status is 503, so that nobody is
 * logged out by it.
 */
export class HomeserverError extends PosternError {
  /** The Matrix error code of the answer, where it had one. */
  readonly errcode: string | undefined

  constructor(
    code: HomeserverErrorCode,
    detail: string,
    { errcode, cause }: { errcode?: string | undefined; cause?: unknown } = {},
  ) {
    const status = code === 'homeserver_refused' ? 502 : 503
    super(code, publicMessages[code], { status, detail, cause })
    this.errcode = errcode
  }
}
