import type { Knex } from 'knex'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import { newId } from '../../ids.ts'
import type { StartSession } from '../../sessions/start/start.ts'
import { findUserById } from '../../users/store.ts'
import { parseScope } from '../scopes.ts'
import type { RequestFacts } from './request-facts.ts'
import type { TokenAnswers } from './token-answer.ts'

export interface UserGrantDeps {
  db: Knex
  clock: Clock
  startSession: StartSession
  tokens: TokenAnswers
  facts: RequestFacts
}

/** What a person agreed to, on a page here, and how it is used up. */
export interface Agreement {
  userId: string
  clientId: string
  scope: string
  nonce: string | undefined
  /** seconds since the epoch */
  authTime: number
  browserSessionId: string | null
  /** Uses the agreement up by one conditional UPDATE; false where it has been used already. */
  consume: (trx: Knex, sessionId: string) => Promise<boolean>
  /** Why a used one is refused. */
  usedUp: string
}

/** The last step of the code and the device grant: a person's agreement becomes a session with its tokens. */
export function createUserGrant({ db, clock, startSession, tokens, facts }: UserGrantDeps) {
  /** Answers the token request. @throws InvalidGrant; what `startSession` throws when it can be tried again */
  return async function grantToUser(ctx: KoaContextWithOIDC, agreement: Agreement): Promise<void> {
    const user = await findUserById(db, agreement.userId)
    if (!user || user.deactivatedAt) throw new errors.InvalidGrant('the account is gone')
    if (user.lockedAt) throw new errors.InvalidGrant('the account is locked')
    const scope = parseScope(agreement.scope)
    const { nonce, authTime } = agreement
    const sessionId = newId(clock.now())
    const idTokenFor = scope.openid ? { user, sessionId, nonce, authTime } : undefined
    const answer = await tokens.prepare(ctx, { scope: scope.requested, withRefresh: true, idTokenFor })
    await startSession({
      id: sessionId,
      kind: 'oauth',
      user,
      clientId: agreement.clientId,
      deviceId: scope.deviceId ?? null,
      deviceName: await facts.deviceName(ctx),
      scope: scope.requested,
      browserSessionId: agreement.browserSessionId,
      ip: facts.ip(ctx),
      userAgent: facts.userAgent(ctx),
      accessToken: answer.accessToken,
      accessTokenTtl: answer.expiresIn,
      refreshToken: answer.refreshToken,
      consume: async (trx) => {
        if (!(await agreement.consume(trx, sessionId))) throw new errors.InvalidGrant(agreement.usedUp)
      },
    })
    ctx.body = answer.body
  }
}

export type GrantToUser = ReturnType<typeof createUserGrant>
