import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context, Middleware } from 'koa'
import type { Sessions } from '../sessions/sessions.ts'
import { addClientIntrospectionRoute, type ClientIntrospectionDeps } from './introspection/client-route.ts'
import type { RegistrationDeps } from './registration/register-client.ts'
import { createRegistrationRoute } from './registration/registration-route.ts'
import { addRevocationRoute } from './revocation/routes.ts'
import { addTokenRoute } from './token-route.ts'
import { addUserinfoRoute } from './userinfo.ts'
import { webFinger } from './webfinger.ts'

export interface OAuthRoutesDeps extends ClientIntrospectionDeps {
  db: Knex
  sessions: Sessions
  publicRefresh: (ctx: Context, form: ReadonlyMap<string, string>) => Promise<boolean>
  /** oidc-provider itself. */
  library: Middleware
  /** Absent where registration is switched off. */
  registration: RegistrationDeps | undefined
  issuer: string
  serverName: string
}

/** All OAuth endpoints that are ours; the rest of the paths is the library's. */
export function addOAuthRoutes(router: Router, deps: OAuthRoutesDeps): void {
  addTokenRoute(router, { refresh: deps.publicRefresh, library: deps.library })
  addRevocationRoute(router, deps)
  addClientIntrospectionRoute(router, deps)
  addUserinfoRoute(router, deps)
  if (deps.registration) router.post('/oauth2/registration', createRegistrationRoute(deps.registration))
  router.get('/.well-known/webfinger', (ctx) => {
    const { status, body } = webFinger(ctx.querystring, deps)
    ctx.status = status
    ctx.body = body
    if (status === 200) ctx.type = 'application/jrd+json'
  })
}
