import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { User } from '../users/store.ts'
import { claimsOf } from './provider/provider.ts'

interface LibraryIdToken {
  scope: string
  set(name: string, value: unknown): void
  issue(options: { use: 'idtoken' }): Promise<string>
}

export interface IdTokenRequest {
  user: User
  /** The session that the exchange makes. */
  sessionId: string
  accessToken: string
  nonce: string | undefined
  /** seconds since the epoch */
  authTime: number
}

/** Signs the id_token of a code or device exchange, with the algorithm that the client registered (RS256 else). */
export async function issueIdToken(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  request: IdTokenRequest,
): Promise<string> {
  const IdToken = provider.IdToken as unknown as new (
    claims: object,
    options: { ctx: object },
  ) => LibraryIdToken
  const token = new IdToken(claimsOf(request.user, undefined), { ctx })
  token.scope = 'openid'
  token.set('auth_time', request.authTime)
  // The library hashes it as OpenID Connect Core §3.1.3.6 says.
  token.set('at_hash', request.accessToken)
  // The session at this app, by which a logout token names it (Back-Channel Logout 1.0 §2.1).
  token.set('sid', request.sessionId)
  if (request.nonce !== undefined) token.set('nonce', request.nonce)
  return token.issue({ use: 'idtoken' })
}
