import { createHash, timingSafeEqual } from 'node:crypto'
import type { Knex } from 'knex'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import type { Sessions } from '../../sessions/sessions.ts'
import { hashSecret } from '../../tokens/format.ts'
import { consumeRecord, findRecord, type OidcRecord } from '../provider/store.ts'
import type { RequestFacts } from './request-facts.ts'
import type { GrantToUser } from './user-grant.ts'

/** A code that comes again this soon is a client that asked twice; later it is a stolen one (RFC 9700 §4.5). */
const REPLAY_TOLERANCE_MS = 10_000

/** What the library stored with a code. */
interface CodePayload {
  clientId: string
  accountId: string
  redirectUri: string
  codeChallenge: string
  scope: string
  nonce?: string
  authTime: number
  sessionUid?: string
}

export interface CodeGrantDeps {
  db: Knex
  clock: Clock
  sessions: Sessions
  facts: RequestFacts
  grantToUser: GrantToUser
}

/** RFC 7636 §4.6, S256 only: the authorization endpoint accepts no other challenge. */
function verifierMatches(verifier: string, challenge: string): boolean {
  const derived = Buffer.from(createHash('sha256').update(verifier).digest('base64url'))
  const expected = Buffer.from(challenge)
  return derived.length === expected.length && timingSafeEqual(derived, expected)
}

function check(record: OidcRecord | undefined, ctx: KoaContextWithOIDC): CodePayload {
  const params = ctx.oidc.params as Record<string, string | undefined>
  if (!record) throw new errors.InvalidGrant('authorization code not found')
  const code = record.payload as unknown as CodePayload
  if (code.clientId !== ctx.oidc.client?.clientId) throw new errors.InvalidGrant('client mismatch')
  if (code.redirectUri !== params.redirect_uri) throw new errors.InvalidGrant('redirect_uri mismatch')
  if (!params.code_verifier || !verifierMatches(params.code_verifier, code.codeChallenge ?? '')) {
    throw new errors.InvalidGrant('PKCE verification failed')
  }
  return code
}

/**
 * The authorization code grant (RFC 6749 §4.1.3, RFC 7636). Ours rather than the library's, because the code, the
 * session and its tokens must stand or fall together, the device must exist first, and the library revokes the
 * winner's tokens when a code comes twice.
 */
export function createAuthorizationCodeGrant(deps: CodeGrantDeps) {
  const { db, clock, sessions, facts, grantToUser } = deps

  async function refuseReplay(record: OidcRecord, ip: string): Promise<never> {
    const age = clock.now().getTime() - (record.consumedAt?.getTime() ?? 0)
    if (record.sessionId && age > REPLAY_TOLERANCE_MS) {
      await sessions.end(record.sessionId, 'code_replay', { actor: 'client', ip })
    }
    throw new errors.InvalidGrant('authorization code already consumed')
  }

  return async function authorizationCode(ctx: KoaContextWithOIDC): Promise<void> {
    const params = ctx.oidc.params as Record<string, string | undefined>
    for (const name of ['code', 'redirect_uri'] as const) {
      if (!params[name]) throw new errors.InvalidRequest(`missing required parameter '${name}'`)
    }
    const hash = hashSecret(params.code ?? '')
    const record = await findRecord(db, 'AuthorizationCode', hash)
    const code = check(record, ctx)
    if (record?.consumedAt) await refuseReplay(record, facts.ip(ctx))
    if (!record || record.expiresAt <= clock.now())
      throw new errors.InvalidGrant('authorization code is expired')

    await grantToUser(ctx, {
      userId: code.accountId,
      clientId: code.clientId,
      scope: code.scope,
      nonce: code.nonce,
      authTime: code.authTime,
      browserSessionId: code.sessionUid ?? null,
      consume: (trx, sessionId) => consumeRecord(trx, 'AuthorizationCode', hash, sessionId, clock.now()),
      usedUp: 'authorization code already consumed',
    })
  }
}
