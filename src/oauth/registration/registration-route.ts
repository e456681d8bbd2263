import type { Context } from 'koa'
import { BodyTooLargeError, readBody } from '../../server/door/read-body.ts'
import { MAXIMUM_BODY } from './parse-body.ts'
import { type RegistrationDeps, refused, registerClient } from './register-client.ts'

/** `POST /oauth2/registration`: the raw body in, RFC 7591's answer out. It needs no body parser before it. */
export function createRegistrationRoute(deps: RegistrationDeps): (ctx: Context) => Promise<void> {
  return async (ctx) => {
    const origin = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') }
    const answer = await readBody(ctx.req, MAXIMUM_BODY)
      .then((body) => registerClient(deps, body, origin))
      .catch((error: unknown) => {
        if (!(error instanceof BodyTooLargeError)) throw error
        return refused('invalid_client_metadata', error.message)
      })
    ctx.status = answer.status
    ctx.set(answer.headers)
    ctx.body = answer.body
  }
}
