import type { Context, Middleware, Next } from 'koa'

/** What browser clients call. Nothing else here answers to a foreign origin (check 37). */
const OPEN = new Map<string, string>([
  ['/.well-known/openid-configuration', 'GET'],
  ['/.well-known/oauth-authorization-server', 'GET'],
  ['/.well-known/webfinger', 'GET'],
  ['/oauth2/keys.json', 'GET'],
  ['/oauth2/registration', 'POST'],
  ['/oauth2/token', 'POST'],
  ['/oauth2/revoke', 'POST'],
  ['/oauth2/device', 'POST'],
  ['/oauth2/par', 'POST'],
  ['/oauth2/userinfo', 'GET, POST'],
])

/** As Synapse answers on the client-server API, which apps on any origin call: it looks at no cookies either. */
async function matrixCors(ctx: Context, next: Next): Promise<void> {
  ctx.set('Access-Control-Allow-Origin', '*')
  ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, POST, PUT, DELETE, OPTIONS')
  ctx.set('Access-Control-Allow-Headers', 'X-Requested-With, Content-Type, Authorization, Date')
  ctx.set('Access-Control-Expose-Headers', 'Retry-After, X-Request-Id')
  if (ctx.method !== 'OPTIONS') return next()
  ctx.status = 204
}

/**
 * Cross-origin requests, without credentials: `*` is safe because none of these endpoints looks at cookies. Headers
 * set here keep the library from setting its own.
 */
export function cors(): Middleware {
  return async (ctx, next) => {
    if (ctx.path.startsWith('/_matrix/client/')) return matrixCors(ctx, next)
    const methods = OPEN.get(ctx.path)
    if (!methods) return next()
    ctx.set('Access-Control-Allow-Origin', '*')
    ctx.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After')
    if (ctx.method !== 'OPTIONS') return next()
    ctx.set('Access-Control-Allow-Methods', methods)
    ctx.set(
      'Access-Control-Allow-Headers',
      'Authorization, Content-Type, Accept, Accept-Language, X-Requested-With',
    )
    ctx.set('Access-Control-Max-Age', '3600')
    ctx.status = 204
  }
}
