import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { PosternError, UnavailableError } from '../errors.ts'
import { findConfirmedEmail, findUserById } from '../users/store.ts'
import type { Introspector } from './introspection/introspector.ts'
import { claimsOf } from './provider/provider.ts'
import { checkedForm } from './token-route.ts'

/** RFC 6750 §3.1: what is wrong with the presented token is told in WWW-Authenticate too. */
export class BearerError extends PosternError {
  constructor(code: 'invalid_token' | 'insufficient_scope' | 'invalid_request', message: string) {
    super(code, message, { status: code === 'invalid_token' ? 401 : code === 'invalid_request' ? 400 : 403 })
  }
}

async function bearerToken(ctx: Context): Promise<string> {
  // RFC 6750 §2.3 and RFC 9700 §4.3.2: addresses end up in logs and histories.
  if (ctx.query.access_token !== undefined) {
    throw new BearerError('invalid_request', 'access tokens must not be sent in the address')
  }
  const header = /^bearer ([\x21-\x7e]+)$/i.exec(ctx.get('Authorization'))?.[1]
  // RFC 6750 §2.2: only a form carries a token; any other body says nothing here.
  const hasForm = ctx.method === 'POST' && ctx.is('application/x-www-form-urlencoded')
  const form = hasForm ? await checkedForm(ctx) : undefined
  const inBody = form?.get('access_token')
  if (header && inBody) throw new BearerError('invalid_request', 'the access token must be sent once')
  const token = header ?? inBody
  if (!token) throw new BearerError('invalid_token', 'no access token provided')
  return token
}

/** The UserInfo endpoint (OpenID Connect Core §5.3): `sub`, `username`, `preferred_username`, and `email` by scope. */
export function addUserinfoRoute(
  router: Router,
  { db, introspect }: { db: Knex; introspect: Introspector },
): void {
  async function userinfo(ctx: Context): Promise<void> {
    const found = await introspect(await bearerToken(ctx), { readsDeviceId: true })
    if ('held' in found)
      throw new UnavailableError('This account is locked for now', { retryAfterSeconds: 60 })
    const { answer } = found
    if (!answer.active || answer.token_type !== 'access_token') {
      throw new BearerError('invalid_token', 'the access token is not valid')
    }
    const scopes = answer.scope.split(' ')
    const user = answer.sub === undefined ? undefined : await findUserById(db, answer.sub)
    if (!scopes.includes('openid') || !user)
      throw new BearerError('insufficient_scope', "the scope lacks 'openid'")
    const email = scopes.includes('email') ? await findConfirmedEmail(db, user.id) : undefined
    ctx.set('Cache-Control', 'no-store')
    ctx.body = claimsOf(user, email)
  }

  async function handle(ctx: Context): Promise<void> {
    try {
      await userinfo(ctx)
    } catch (error) {
      if (error instanceof BearerError) {
        ctx.set('WWW-Authenticate', `Bearer error="${error.code}", error_description="${error.message}"`)
      }
      throw error
    }
  }

  router.get('/oauth2/userinfo', handle)
  router.post('/oauth2/userinfo', handle)
}
