import { Readable } from 'node:stream'
import type Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { PosternError } from '../errors.ts'
import { readBody } from '../server/door/read-body.ts'
import { isUnavailable } from '../storage/availability.ts'
import { parseForm } from './form.ts'
import { answerUnavailable } from './grants/errors.ts'

/** The library's words where a client asks for a grant type that it is not registered for. */
const GRANT_NOT_ALLOWED = 'requested grant type is not allowed for this client'
const MAX_BODY_BYTES = 56 * 1024

/**
 * Reads and checks a form before oidc-provider reads it again: its own parser lets NUL and invalid UTF-8 through.
 * The request then yields the same bytes a second time.
 */
export async function checkedForm(ctx: Context): Promise<ReadonlyMap<string, string>> {
  if (!ctx.is('application/x-www-form-urlencoded')) {
    throw new PosternError('invalid_request', 'only application/x-www-form-urlencoded bodies are read here')
  }
  const body = await readBody(ctx.req, MAX_BODY_BYTES)
  const { values, duplicates } = parseForm(body)
  // RFC 6749 §3.2: parameters must not come more than once.
  if (duplicates.length > 0) {
    throw new PosternError('invalid_request', `'${duplicates[0]}' parameter must not be provided twice`)
  }
  Object.defineProperties(ctx.req, {
    readable: { value: true, configurable: true },
    iterator: { value: () => Readable.from([body])[Symbol.asyncIterator](), configurable: true },
  })
  return values
}

/** The token endpoint's door: forms are checked, refreshes of public clients take the short way. */
export function addTokenRoute(
  router: Router,
  {
    refresh,
    library,
  }: {
    /** Answers the refresh of a public client; false when the library must authenticate a client first. */
    refresh: (ctx: Context, form: ReadonlyMap<string, string>) => Promise<boolean>
    library: Middleware
  },
): void {
  router.post('/oauth2/token', async (ctx, next) => {
    const form = await checkedForm(ctx)
    if (form.get('grant_type') === 'refresh_token' && (await refresh(ctx, form))) return
    await library(ctx as never, next)
    const body = ctx.body as { error_description?: unknown } | undefined
    // RFC 6749 §5.2 has a code of its own for this; the library says `invalid_request`.
    if (ctx.status === 400 && body?.error_description === GRANT_NOT_ALLOWED) {
      ctx.body = { error: 'unauthorized_client', error_description: GRANT_NOT_ALLOWED }
    }
    // The library answers 500 for any trouble of ours; a Matrix client comes back after a 503 (invariant 7).
    if (ctx.status === 500 && isUnavailable(ctx.state.serverError)) {
      answerUnavailable(ctx, ctx.state.serverError, 'The database cannot be reached, try again', 5)
    }
  })
}
