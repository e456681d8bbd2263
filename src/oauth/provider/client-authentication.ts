import type { Context, Middleware } from 'koa'
import compose from 'koa-compose'
import type Provider from 'oidc-provider'
import assembleParams from 'oidc-provider/lib/shared/assemble_params.js'
import clientAuth, { getClientAuthParams } from 'oidc-provider/lib/shared/client_auth.js'
import { urlencoded } from 'oidc-provider/lib/shared/selective_body.js'

/** What the library leaves on the context once a client is authenticated. */
export interface ClientRequest {
  clientId: string
  public: boolean
  params: Record<string, string | undefined>
}

interface LibraryContext {
  oidc: { params: Record<string, string | undefined>; client: { clientId: string; clientAuthMethod: string } }
}

/**
 * The library's client authentication for our own endpoints: the same methods, the same errors as at the token
 * endpoint. Throws the library's errors (`invalid_client`, `invalid_request`).
 * @param parameters the form parameters that the endpoint reads, each refused when it comes twice
 */
export function createClientAuthentication(provider: Provider) {
  const library = provider as unknown as { OIDCContext: new (ctx: Context) => object }
  return async function authenticate(ctx: Context, parameters: string[]): Promise<ClientRequest> {
    const steps: Middleware[] = [
      urlencoded,
      (context, next) =>
        assembleParams(new Set([...parameters, ...getClientAuthParams(context)]), context, next) as never,
      ...clientAuth,
    ]
    // The library's steps read everything from `ctx.oidc`; its router would have put it there.
    if (!('oidc' in ctx)) Object.defineProperty(ctx, 'oidc', { value: new library.OIDCContext(ctx) })
    await compose(steps)(ctx as never, async () => {})
    const { params, client } = (ctx as unknown as LibraryContext).oidc
    return {
      clientId: client.clientId,
      public: client.clientAuthMethod === 'none',
      params: Object.fromEntries(parameters.map((name) => [name, params[name]])),
    }
  }
}

export type AuthenticateClient = ReturnType<typeof createClientAuthentication>
