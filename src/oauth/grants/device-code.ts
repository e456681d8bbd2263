import type { Knex } from 'knex'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import { hashSecret } from '../../tokens/format.ts'
import { consumeDeviceCode, type DeviceRequest, findByDeviceCode, notePoll } from '../device/store.ts'
import type { GrantToUser } from './user-grant.ts'

export interface DeviceGrantDeps {
  db: Knex
  clock: Clock
  grantToUser: GrantToUser
}

/** The device grant at the token endpoint (RFC 8628 §3.4, §3.5). */
export function createDeviceCodeGrant({ db, clock, grantToUser }: DeviceGrantDeps) {
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
    await grantToUser(ctx, {
      userId: request.userId,
      clientId: request.clientId,
      scope: request.scope,
      nonce: undefined,
      authTime: Math.floor((request.authenticatedAt ?? request.createdAt).getTime() / 1000),
      browserSessionId: request.browserSessionId,
      consume: (trx, sessionId) => consumeDeviceCode(trx, hash, sessionId, clock.now()),
      usedUp: 'device code already consumed',
    })
  }
}
