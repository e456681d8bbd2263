import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { newId } from '../../ids.ts'
import type { createClientAddress } from '../door/client-address.ts'

export interface RequestContextDeps {
  clientAddress: ReturnType<typeof createClientAddress>
  clock: Clock
  log: Logger
  /** Told of every request: what it matched, its status, and how many seconds it took. */
  answered: (route: string, status: number, seconds: number) => void
}

/** The pattern of a route, not its path: that has IDs, and strangers could make any number of them. */
function routeOf(ctx: Context): string {
  const { _matchedRoute, oidc } = ctx as { _matchedRoute?: unknown; oidc?: { route?: unknown } }
  if (typeof _matchedRoute === 'string') return _matchedRoute
  return typeof oidc?.route === 'string' ? oidc.route : 'other'
}

/**
 * Gives each request an ID (answered, shown on error pages, logged) and its client address, and logs how it ended:
 * method, path, status, time. Never the query, which carries codes and states.
 */
export function requestContext({ clientAddress, clock, log, answered }: RequestContextDeps): Middleware {
  return async (ctx, next) => {
    const started = performance.now()
    ctx.state.requestId = newId(clock.now())
    ctx.state.ip = clientAddress(ctx.req)
    ctx.set('X-Request-Id', ctx.state.requestId)
    await next()
    const ms = performance.now() - started
    answered(routeOf(ctx), ctx.status, ms / 1000)
    log.debug(
      {
        requestId: ctx.state.requestId,
        method: ctx.method,
        path: ctx.path,
        status: ctx.status,
        ms: Math.round(ms),
      },
      'request.ended',
    )
  }
}
