import type { Knex } from 'knex'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { PolicyGate } from '../../policy/gate.ts'
import type { StartSession } from '../../sessions/start/start.ts'
import { findClient } from '../clients/store.ts'
import { assertAllowedForClientItself } from '../scope-policy.ts'
import { parseScope } from '../scopes.ts'
import type { RequestFacts } from './request-facts.ts'
import type { TokenAnswers } from './token-answer.ts'

export interface ClientCredentialsDeps {
  db: Knex
  startSession: StartSession
  tokens: TokenAnswers
  facts: RequestFacts
  gate: Pick<PolicyGate, 'grant'>
}

/**
 * RFC 6749 §4.4, for static clients only. The library would give any scope that it knows to any client without a
 * list, anonymously registered ones included, so the rule is ours.
 */
export function createClientCredentialsGrant({
  db,
  startSession,
  tokens,
  facts,
  gate,
}: ClientCredentialsDeps) {
  return async function clientCredentials(ctx: KoaContextWithOIDC): Promise<void> {
    const client = await findClient(db, ctx.oidc.client?.clientId ?? '')
    // A public client cannot prove that it is itself.
    if (!client || client.kind === 'dynamic' || client.authMethod === 'none') {
      throw new errors.UnauthorizedClient('this client may not use client_credentials')
    }
    const scope = parseScope(String(ctx.oidc.params?.scope ?? ''))
    if (scope.requested !== '') assertAllowedForClientItself(scope, client)
    gate.grant('client_credentials', client, scope, { ip: facts.ip(ctx), userAgent: facts.userAgent(ctx) })
    const answer = await tokens.prepare(ctx, { scope: scope.requested, withRefresh: false })
    await startSession({
      kind: 'oauth',
      user: undefined,
      clientId: client.clientId,
      deviceId: null,
      deviceName: null,
      scope: scope.requested,
      browserSessionId: null,
      ip: facts.ip(ctx),
      userAgent: facts.userAgent(ctx),
      accessToken: answer.accessToken,
      accessTokenTtl: answer.expiresIn,
      refreshToken: null,
      consume: async () => {},
    })
    ctx.body = answer.body
  }
}
