import type { Middleware } from 'koa'
import type { Logger } from 'pino'
import { inScope, presentScope } from '../../telemetry/scope.ts'
import { noteRoute } from '../../telemetry/spans/requests.ts'
import type { createClientAddress } from '../door/client-address.ts'
import type { RequestIds } from '../door/request-id.ts'
import { routeOf } from './route.ts'

export interface RequestContextDeps {
  clientAddress: ReturnType<typeof createClientAddress>
  requestId: RequestIds
  log: Logger
  /** Told of every request: what it matched, its status, and how many seconds it took. */
  answered: (route: string, status: number, seconds: number) => void
}

/**
 * Gives each request its ID (answered, shown on error pages, on each of its log lines) and its client address, and logs
 * how it ended: method, route, status, time. Never the path or the query, which carry tickets, codes and states.
 */
export function requestContext({ clientAddress, requestId, log, answered }: RequestContextDeps): Middleware {
  return async (ctx, next) => {
    const started = performance.now()
    const id = requestId(ctx.req)
    ctx.state.requestId = id
    ctx.state.ip = clientAddress(ctx.req)
    ctx.set('X-Request-Id', id)
    await inScope({ requestId: id }, async () => {
      await next()
      const ms = performance.now() - started
      const route = routeOf(ctx)
      answered(route, ctx.status, ms / 1000)
      const span = presentScope()?.span
      noteRoute(span, ctx.method, route)
      span?.note({ 'postern.request_id': id })
      log.debug({ method: ctx.method, route, status: ctx.status, ms: Math.round(ms) }, 'request.ended')
    })
  }
}
