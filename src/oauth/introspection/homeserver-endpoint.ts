import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { UnavailableError } from '../../errors.ts'
import { readBody } from '../../server/door/read-body.ts'
import type { RequestIds } from '../../server/door/request-id.ts'
import type { Introspector } from './introspector.ts'

const MAX_BODY_BYTES = 8192
const BEARER = /^bearer +(\S.*)$/i

function digest(value: string): Buffer {
  return hash('sha256', value, 'buffer')
}

function send(res: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    pragma: 'no-cache',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  res.end(body)
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
  const secretDigest = digest(deps.secret)

  function reply(res: ServerResponse, status: number, body: string, headers?: Record<string, string>): void {
    deps.count(status)
    send(res, status, body, headers)
  }

  /** Whether the request is the homeserver's kind: a bare Bearer secret, which no OAuth client sends (MSC3861). */
  function claims(req: IncomingMessage): boolean {
    return req.headers.authorization !== undefined && /^bearer /i.test(req.headers.authorization)
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const presented = BEARER.exec(req.headers.authorization ?? '')?.[1]
    // Digests of equal length, compared in constant time: neither content nor length of the secret shows.
    if (!presented || !timingSafeEqual(digest(presented), secretDigest)) {
      reply(res, 401, UNAUTHORIZED, {
        'www-authenticate': 'Bearer error="invalid_token"',
        connection: 'close',
      })
      return
    }
    // Too large, or its sender is gone: then there is no token to answer for.
    const body = await readBody(req, MAX_BODY_BYTES).catch(() => undefined)
    const tokens = new URLSearchParams(body?.toString('utf8')).getAll('token')
    const [token] = tokens
    if (token === undefined || tokens.length !== 1) {
      const error = { error: 'invalid_request', error_description: "The form must have one 'token'" }
      reply(res, 400, JSON.stringify(error), { connection: 'close' })
      return
    }
    try {
      const found = await introspect(token, {
        readsDeviceId: req.headers['x-mas-supports-device-id'] === '1',
      })
      // Invariant 8: Synapse turns a 5xx into one for its client, who comes back later with keys and session.
      if ('held' in found) reply(res, 503, UNAVAILABLE, { 'retry-after': '60' })
      else reply(res, 200, JSON.stringify(found.answer))
    } catch (error) {
      if (error instanceof UnavailableError) {
        reply(res, 503, UNAVAILABLE, { 'retry-after': String(error.retryAfterSeconds) })
        return
      }
      const requestId = deps.requestId(req)
      log.error({ err: error, requestId }, 'introspection.failed')
      reply(res, 503, UNAVAILABLE, { 'retry-after': '5', 'x-request-id': requestId })
    }
  }

  return { claims, handle }
}
