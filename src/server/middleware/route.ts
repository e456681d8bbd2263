import type { Context } from 'koa'

/**
 * The pattern of a route, not its path: that has IDs, tickets and device codes in it, which no log and no trace may
 * show, and strangers could make any number of them.
 */
export function routeOf(ctx: Context): string {
  const { _matchedRoute, oidc } = ctx as { _matchedRoute?: unknown; oidc?: { route?: unknown } }
  if (typeof _matchedRoute === 'string') return _matchedRoute
  return typeof oidc?.route === 'string' ? oidc.route : 'other'
}
