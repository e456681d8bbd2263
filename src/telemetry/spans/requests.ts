import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { PeerSocket } from '../../server/door/peer.ts'
import { inScope, presentScope } from '../scope.ts'
import type { OpenSpan, Tracing } from '../tracing.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'])

/**
 * Puts a span around each request, from its arrival to the end of its answer, named by its route: never by the path or
 * the query, which carry tickets, codes and states.
 *
 * A `traceparent` counts from trusted peers only (`http.trusted_proxies`), such as the homeserver, which sends one with
 * each introspection. It decides whether the trace is recorded, and under which ID: from anybody else it would let
 * strangers have every request of theirs recorded, whatever the sample ratio, and write into the traces of others.
 * `tracestate` and `baggage` are never read: they are for whatever the sender likes.
 */
export function traceRequests(
  handler: RequestListener,
  { tracing, isTrusted }: { tracing: Tracing; isTrusted: (socket: PeerSocket) => boolean },
): RequestListener {
  return function traced(req: IncomingMessage, res: ServerResponse): void {
    const method = METHODS.has(req.method ?? '') ? (req.method as string) : '_OTHER'
    const given = req.headers.traceparent
    const span = tracing.start({
      name: method,
      kind: 'server',
      facts: { 'http.request.method': method },
      parent: typeof given === 'string' && isTrusted(req.socket) ? { traceparent: given } : null,
    })
    res.once('close', () => end(span, res))
    inScope({ span }, () => handler(req, res))
  }
}

function end(span: OpenSpan, res: ServerResponse): void {
  if (res.headersSent) {
    span.note({ 'http.response.status_code': res.statusCode })
    // OpenTelemetry's HTTP conventions: a 4xx is the client's error, not the server's.
    if (res.statusCode >= 500) span.failAs(String(res.statusCode))
  }
  if (!res.writableFinished) span.failAs('cut_off')
  span.end()
}

interface Introspection {
  claims(req: IncomingMessage): boolean
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
}

/** The homeserver's introspection meets no router that would name its route. */
export function traceIntrospection(introspection: Introspection): Introspection {
  return {
    ...introspection,
    handle(req, res) {
      noteRoute(presentScope()?.span, 'POST', '/oauth2/introspect')
      return introspection.handle(req, res)
    },
  }
}

/** Names a request's span by its route, once that is known. */
export function noteRoute(span: OpenSpan | undefined, method: string, route: string): void {
  span?.rename(`${method} ${route}`)
  span?.note({ 'http.route': route })
}
