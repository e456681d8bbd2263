import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { newToken } from '../../tokens/format.ts'
import { type IdTokenRequest, issueIdToken } from '../id-token.ts'

export interface TokenRequest {
  scope: string
  withRefresh: boolean
  /** Set where the scope has `openid` and a user is there. */
  idTokenFor?: Omit<IdTokenRequest, 'accessToken'> | undefined
}

/** Tokens that are made but not stored yet, and the answer that will carry them once they are. */
export interface TokenAnswer {
  accessToken: string
  refreshToken: string | null
  /** seconds */
  expiresIn: number
  body: Record<string, unknown>
}

/**
 * Makes the tokens and the body of a token answer (RFC 6749 §5.1). The id_token is signed before anything is
 * stored, so that a signature that fails costs nobody their code.
 */
export function createTokenAnswers(deps: { provider: () => Provider; accessTokenTtl: number }) {
  async function prepare(ctx: KoaContextWithOIDC, request: TokenRequest): Promise<TokenAnswer> {
    const accessToken = newToken('mat')
    const refreshToken = request.withRefresh ? newToken('mar') : null
    const idToken =
      request.idTokenFor && (await issueIdToken(deps.provider(), ctx, { ...request.idTokenFor, accessToken }))
    const body = {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: deps.accessTokenTtl,
      ...(refreshToken ? { refresh_token: refreshToken } : {}),
      scope: request.scope,
      ...(idToken ? { id_token: idToken } : {}),
    }
    return { accessToken, refreshToken, expiresIn: deps.accessTokenTtl, body }
  }
  return { prepare }
}

export type TokenAnswers = ReturnType<typeof createTokenAnswers>
