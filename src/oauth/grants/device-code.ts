import type { Knex } from 'knex'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import type { StartSession } from '../../sessions/start.ts'
import { hashSecret } from '../../tokens/format.ts'
import { findUserById } from '../../users/store.ts'
import { consumeDeviceCode, type DeviceRequest, findByDeviceCode, notePoll } from '../device/store.ts'
import { parseScope } from '../scopes.ts'
import type { RequestFacts } from './request-facts.ts'
import type { TokenAnswers } from './token-answer.ts'

export interface DeviceGrantDeps {
  db: Knex
  clock: Clock
  startSession: StartSession
  tokens: TokenAnswers
  facts: RequestFacts
}

/** The device grant at the token endpoint (RFC 8628 §3.4, §3.5). */
export function createDeviceCodeGrant({ db, clock, startSession, tokens, facts }: DeviceGrantDeps) {
  async function approved(
    ctx: KoaContextWithOIDC,
    hash: Buffer,
  ): Promise<DeviceRequest & { userId: string }> {
    const request = await findByDeviceCode(db, hash)
    if (!request) throw new errors.InvalidGrant('device code not found')
    if (request.clientId !== ctx.oidc.client?.clientId) throw new errors.InvalidGrant('client mismatch')
    if (request.consumedAt) throw new errors.InvalidGrant('device code already consumed')
    if (request.expiresAt <= clock.now()) throw new errors.ExpiredToken('the device code has expired')
    if (request.status === 'denied') throw new errors.AccessDenied('the person said no')
    if (request.status === 'approved' && request.userId) return { ...request, userId: request.userId }
    if (await notePoll(db, hash, clock.now())) {
      throw new errors.AuthorizationPending('the person has not decided yet')
    }
    throw new errors.SlowDown('wait five seconds more between polls')
  }

  return async function deviceCode(ctx: KoaContextWithOIDC): Promise<void> {
    const code = (ctx.oidc.params as Record<string, string | undefined>).device_code
    if (!code) throw new errors.InvalidRequest("missing required parameter 'device_code'")
    const hash = hashSecret(code)
    const request = await approved(ctx, hash)
    const user = await findUserById(db, request.userId)
    if (!user || user.deactivatedAt) throw new errors.InvalidGrant('the account is gone')
    if (user.lockedAt) throw new errors.InvalidGrant('the account is locked')
    const scope = parseScope(request.scope)
    const authTime = Math.floor((request.authenticatedAt ?? request.createdAt).getTime() / 1000)
    const idTokenFor = scope.openid ? { user, nonce: undefined, authTime } : undefined
    const answer = await tokens.prepare(ctx, { scope: scope.requested, withRefresh: true, idTokenFor })
    await startSession({
      kind: 'oauth',
      user,
      clientId: request.clientId,
      deviceId: scope.deviceId ?? null,
      deviceName: await facts.deviceName(ctx),
      scope: scope.requested,
      browserSessionId: request.browserSessionId,
      ip: facts.ip(ctx),
      userAgent: facts.userAgent(ctx),
      accessToken: answer.accessToken,
      accessTokenTtl: answer.expiresIn,
      refreshToken: answer.refreshToken,
      consume: async (trx, sessionId) => {
        if (!(await consumeDeviceCode(trx, hash, sessionId, clock.now()))) {
          throw new errors.InvalidGrant('device code already consumed')
        }
      },
    })
    ctx.body = answer.body
  }
}
