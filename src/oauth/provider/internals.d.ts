// oidc-provider's own modules that patches.ts and client-authentication.ts import; the library has no types for them.
declare module 'oidc-provider/lib/shared/client_auth.js' {
  import type { Middleware } from 'koa'

  const clientAuth: Middleware[]
  export default clientAuth
  export function getClientAuthParams(ctx: unknown): Set<string>
}
declare module 'oidc-provider/lib/shared/assemble_params.js' {
  export default function assembleParams(allowed: Set<string>, ctx: unknown, next: () => unknown): unknown
}
declare module 'oidc-provider/lib/shared/selective_body.js' {
  import type { Middleware } from 'koa'
  export const urlencoded: Middleware
}
declare module 'oidc-provider/lib/helpers/initialize_keystore.js' {
  import type Provider from 'oidc-provider'
  /** Checks the keys, and puts them in place of those that the provider has. */
  export default function initialize(this: Provider, jwks: { keys: unknown[] }): void
}
declare module 'oidc-provider/lib/actions/jwks.js' {
  import type Provider from 'oidc-provider'
  export default function renderJwks(ctx: { oidc: { provider: Provider }; body?: { keys: unknown[] } }): void
}
