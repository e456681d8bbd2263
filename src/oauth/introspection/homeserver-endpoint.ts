import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { UnavailableError } from '../../errors.ts'
import { readBody } from '../../server/door/read-body.ts'
import type { RequestIds } from '../../server/door/request-id.ts'
import type { Introspector } from './introspector.ts'

const MAX_BODY_BYTES = 8192
const BEARER = /^bearer +(\S.*)$/i

// A flat list: Node.js takes it as it is, where an object costs as much as the rest of the answer.
const HEADERS = [
  ...['content-type', 'application/json'],
  ...['cache-control', 'no-store'],
  ...['pragma', 'no-cache'],
  ...['x-content-type-options', 'nosniff'],
]

function send(res: ServerResponse, status: number, body: string, headers: readonly string[] = []): void {
  res.writeHead(status, [...HEADERS, ...headers, 'content-length', String(Buffer.byteLength(body))])
  res.end(body)
}

/**
 * Whether what was presented is the secret, in a time that tells nothing of its content or length: both are compared
 * as bytes in fields of one size.
 */
function createSecretCheck(secret: string): (presented: string) => boolean {
  const size = Buffer.byteLength(secret) + 1
  const [expected, given] = [Buffer.alloc(size), Buffer.alloc(size)]
  expected.write(secret)
  return (presented) => {
    given.fill(0)
    // Node.js gives a header's bytes as characters. Of what is longer than the secret at least one byte fits as well, and
    // none of them is NUL, so it differs.
    given.write(presented, 'latin1')
    return timingSafeEqual(given, expected)
  }
}

/** How Synapse asks: an unreserved token, and perhaps a hint. All else is parsed as the form that it is. */
const PLAIN_FORM = /^token=([\w.~-]+)(?:&token_type_hint=\w+)?$/

function tokensIn(form: string): string[] {
  const plain = PLAIN_FORM.exec(form)?.[1]
  return plain === undefined ? new URLSearchParams(form).getAll('token') : [plain]
}

const UNAUTHORIZED = JSON.stringify({
  error: 'invalid_client',
  error_description: 'The bearer token is not the shared secret of the homeserver',
})
const UNAVAILABLE = JSON.stringify({
  error: 'temporarily_unavailable',
  error_description: 'This cannot be answered now, try again',
})

/**
 * The homeserver's introspection, answered in the raw request handler, before any framework: it asks on every
 * request that it has not cached. Requests that do not carry a Bearer secret are not handled here.
 */
export function createHomeserverIntrospection(deps: {
  secret: string
  introspect: Introspector
  /** Asked only where something is logged: this is the path that must cost nothing. */
  requestId: RequestIds
  log: Logger
  /** Counts an answer by its status. */
  count: (status: number) => void
}) {
  const { introspect, log } = deps
  const isSecret = createSecretCheck(deps.secret)

  function reply(res: ServerResponse, status: number, body: string, headers?: readonly string[]): void {
    deps.count(status)
    send(res, status, body, headers)
  }

  /** Whether the request is the homeserver's kind: a bare Bearer secret, which no OAuth client sends (MSC3861). */
  function claims(req: IncomingMessage): boolean {
    return req.headers.authorization !== undefined && /^bearer /i.test(req.headers.authorization)
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const presented = BEARER.exec(req.headers.authorization ?? '')?.[1]
    if (!presented || !isSecret(presented)) {
      const challenge = ['www-authenticate', 'Bearer error="invalid_token"']
      reply(res, 401, UNAUTHORIZED, [...challenge, 'connection', 'close'])
      return
    }
    // Too large, or its sender is gone: then there is no token to answer for.
    const body = await readBody(req, MAX_BODY_BYTES).catch(() => undefined)
    const tokens = tokensIn(body?.toString('utf8') ?? '')
    const [token] = tokens
    if (token === undefined || tokens.length !== 1) {
      const error = { error: 'invalid_request', error_description: "The form must have one 'token'" }
      reply(res, 400, JSON.stringify(error), ['connection', 'close'])
      return
    }
    try {
      const found = await introspect(token, {
        readsDeviceId: req.headers['x-mas-supports-device-id'] === '1',
      })
      // Invariant 8: Synapse turns a 5xx into one for its client, who comes back later with keys and session.
      if ('held' in found) reply(res, 503, UNAVAILABLE, ['retry-after', '60'])
      else reply(res, 200, JSON.stringify(found.answer))
    } catch (error) {
      if (error instanceof UnavailableError) {
        reply(res, 503, UNAVAILABLE, ['retry-after', String(error.retryAfterSeconds)])
        return
      }
      const requestId = deps.requestId(req)
      log.error({ err: error, requestId }, 'introspection.failed')
      reply(res, 503, UNAVAILABLE, ['retry-after', '5', 'x-request-id', requestId])
    }
  }

  return { claims, handle }
}
