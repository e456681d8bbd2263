import type Router from '@koa/router'
import type { Knex } from 'knex'
import { PosternError } from '../../errors.ts'
import type { Sessions } from '../../sessions/sessions.ts'
import { hashSecret, mayBeToken } from '../../tokens/format.ts'
import { findSessionIdByToken } from '../../tokens/store.ts'
import { checkedForm } from '../token-route.ts'

/**
 * RFC 7009 by Matrix's rules (specification, "Token revocation"): whoever holds a token may revoke it, also with a
 * wrong or missing `client_id`, so that scanners for leaked tokens can; either token of a session, a superseded
 * one included, ends the session and its device; what is unknown or over already is answered 200.
 */
export function addRevocationRoute(router: Router, { db, sessions }: { db: Knex; sessions: Sessions }): void {
  router.post('/oauth2/revoke', async (ctx) => {
    const form = await checkedForm(ctx)
    const token = form.get('token')
    if (!token) throw new PosternError('invalid_request', "missing required parameter 'token'")
    ctx.set('Cache-Control', 'no-store')
    const sessionId = mayBeToken(token) ? await findSessionIdByToken(db, hashSecret(token)) : undefined
    if (sessionId) await sessions.end(sessionId, 'revoked', { actor: 'client', ip: ctx.state.ip })
    ctx.status = 200
    ctx.body = ''
  })
}
