import type { Context } from 'koa'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Refresh, Refreshed } from '../../tokens/refresh.ts'
import { InvalidScopeError, parseScope } from '../scopes.ts'

/** RFC 6749 §6: the scope may be named again, never widened. */
function checkScope(requested: string | undefined, granted: string): void {
  if (requested === undefined) return
  const had = new Set(parseScope(granted).expanded.split(' '))
  for (const name of parseScope(requested).requested.split(' ')) {
    if (!had.has(name)) throw new InvalidScopeError('the scope is wider than what was granted')
  }
}

function body({ accessToken, refreshToken, expiresIn, scope }: Refreshed): Record<string, unknown> {
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: expiresIn,
    refresh_token: refreshToken,
    scope,
  }
}

/**
 * The refresh of both kinds of clients (RFC 6749 §6). `findScope` reads a token's scope without consuming it, for
 * the rare request that names one.
 */
export function createRefreshGrant({
  refresh,
  findScope,
}: {
  refresh: Refresh
  findScope: (refreshToken: string) => Promise<string | undefined>
}) {
  async function checkedRefresh(
    token: string,
    scope: string | undefined,
    clientId: string,
    authenticated: boolean,
  ) {
    if (scope !== undefined) checkScope(scope, (await findScope(token)) ?? scope)
    return body(await refresh(token, { kind: 'oauth', clientId, authenticated }))
  }

  /** Public clients: nothing to authenticate, so nothing but the one statement. */
  async function publicRefresh(ctx: Context, form: ReadonlyMap<string, string>): Promise<boolean> {
    const clientId = form.get('client_id')
    const token = form.get('refresh_token')
    if (ctx.headers.authorization || form.has('client_secret') || form.has('client_assertion')) return false
    if (!clientId || !token) return false
    ctx.set('Cache-Control', 'no-store')
    ctx.set('Pragma', 'no-cache')
    ctx.body = await checkedRefresh(token, form.get('scope'), clientId, false)
    return true
  }

  /** Confidential clients, once the library has authenticated them. */
  async function confidentialRefresh(ctx: KoaContextWithOIDC): Promise<void> {
    const { refresh_token: token, scope } = ctx.oidc.params as Record<string, string | undefined>
    if (!token) throw new errors.InvalidRequest("missing required parameter 'refresh_token'")
    ctx.body = await checkedRefresh(token, scope, ctx.oidc.client?.clientId ?? '', true)
  }

  return { publicRefresh, confidentialRefresh }
}
