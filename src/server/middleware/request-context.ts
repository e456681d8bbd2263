import type { Middleware } from 'koa'
import type { Logger } from 'pino'
import type { Clock } from '../../clock.ts'
import { newId } from '../../ids.ts'
import type { createClientAddress } from '../door/client-address.ts'

export interface RequestContextDeps {
  clientAddress: ReturnType<typeof createClientAddress>
  clock: Clock
  log: Logger
}

/**
 * Gives each request an ID (answered, shown on error pages, logged) and its client address, and logs how it ended:
 * method, path, status, time. Never the query, which carries codes and states.
 */
export function requestContext({ clientAddress, clock, log }: RequestContextDeps): Middleware {
  return async (ctx, next) => {
    const started = performance.now()
    ctx.state.requestId = newId(clock.now())
    ctx.state.ip = clientAddress(ctx.req)
    ctx.set('X-Request-Id', ctx.state.requestId)
    await next()
    log.debug(
      {
        requestId: ctx.state.requestId,
        method: ctx.method,
        path: ctx.path,
        status: ctx.status,
        ms: Math.round(performance.now() - started),
      },
      'request.ended',
    )
  }
}
