import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { errors } from 'oidc-provider'
import { PosternError } from '../../errors.ts'
import { findClient } from '../clients/store.ts'
import type { AuthenticateClient } from '../provider/client-authentication.ts'
import { checkedForm } from '../token-route.ts'
import type { Introspector } from './introspector.ts'
import { INACTIVE } from './response.ts'

export interface ClientIntrospectionDeps {
  db: Knex
  authenticate: AuthenticateClient
  introspect: Introspector
}

/** RFC 9110 §15.5.2: a 401 names a way to authenticate. */
function unauthorized(ctx: Context, message: string): PosternError {
  ctx.set('WWW-Authenticate', 'Basic')
  return new PosternError('invalid_client', message, { status: 401 })
}

/**
 * Introspection by clients that prove who they are (RFC 7662 §2.1). Static clients that the operator lets see every
 * token; others see their own only, so that a client which anyone can register is no oracle.
 */
export function addClientIntrospectionRoute(router: Router, deps: ClientIntrospectionDeps): void {
  const { db, authenticate, introspect } = deps
  router.post('/oauth2/introspect', async (ctx) => {
    const form = await checkedForm(ctx)
    // RFC 7662 §2.1: whoever says nothing of themselves is unauthorised, not misunderstood.
    const says = ['client_id', 'client_assertion'].some((name) => form.has(name))
    if (!ctx.headers.authorization && !says) {
      throw unauthorized(ctx, 'client authentication is needed here')
    }
    const { clientId, public: isPublic, params } = await authenticate(ctx, ['token', 'token_type_hint'])
    if (isPublic) throw unauthorized(ctx, 'public clients may not introspect')
    if (!params.token) throw new errors.InvalidRequest("missing required parameter 'token'")
    const client = await findClient(db, clientId)
    const all = client?.kind !== 'dynamic' && client?.metadata.may_introspect === true
    const found = await introspect(params.token, {
      readsDeviceId: ctx.get('X-MAS-Supports-Device-Id') === '1',
      maySee: (token) => all || token.clientId === clientId,
    })
    ctx.set('Cache-Control', 'no-store')
    ctx.set('Pragma', 'no-cache')
    // A locked user is no business of other callers: to them the token is not active (invariant 8).
    ctx.body = 'held' in found ? INACTIVE : found.answer
  })
}
