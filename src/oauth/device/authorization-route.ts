import type Router from '@koa/router'
import type { Knex } from 'knex'
import { errors } from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import { UnavailableError } from '../../errors.ts'
import type { PublicAddress } from '../../server/public-address.ts'
import { hashSecret, randomBase62 } from '../../tokens/format.ts'
import { findClient } from '../clients/store.ts'
import type { RequestFacts } from '../grants/request-facts.ts'
import type { AuthenticateClient } from '../provider/client-authentication.ts'
import { assertClientMayAsk } from '../scope-policy.ts'
import { parseScope } from '../scopes.ts'
import { checkedForm } from '../token-route.ts'
import { insertDeviceRequest } from './store.ts'
import { hashUserCode, newUserCode, showUserCode } from './user-code.ts'

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const TTL_SECONDS = 1200
const INTERVAL_SECONDS = 5
const CODE_LENGTH = 40
const ATTEMPTS = 5

export interface DeviceAuthorizationDeps {
  db: Knex
  clock: Clock
  address: PublicAddress
  authenticate: AuthenticateClient
  facts: RequestFacts
  userCodeKey: Buffer
}

/** The device authorization endpoint (RFC 8628 §3.1, MSC4341). */
export function addDeviceAuthorizationRoute(router: Router, deps: DeviceAuthorizationDeps): void {
  const { db, clock, address, authenticate, facts, userCodeKey } = deps
  router.post('/oauth2/device', async (ctx) => {
    await checkedForm(ctx)
    const { clientId, params } = await authenticate(ctx, ['scope'])
    const client = await findClient(db, clientId)
    if (!client?.metadata.grant_types.includes(DEVICE_GRANT)) {
      throw new errors.UnauthorizedClient('this client is not registered for the device grant')
    }
    const scope = parseScope(params.scope ?? '')
    if (scope.requested === '') throw new errors.InvalidRequest("missing required parameter 'scope'")
    assertClientMayAsk(scope, client)

    const deviceCode = randomBase62(CODE_LENGTH)
    const now = clock.now()
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const userCode = newUserCode()
      const inserted = await insertDeviceRequest(db, {
        codeHash: hashSecret(deviceCode),
        userCodeHash: hashUserCode(userCodeKey, userCode),
        clientId,
        scope: scope.requested,
        createdAt: now,
        expiresAt: new Date(now.getTime() + TTL_SECONDS * 1000),
        intervalSeconds: INTERVAL_SECONDS,
        ip: facts.ip(ctx),
        userAgent: facts.userAgent(ctx),
      })
      if (!inserted) continue
      const shown = showUserCode(userCode)
      ctx.set('Cache-Control', 'no-store')
      ctx.body = {
        device_code: deviceCode,
        user_code: shown,
        verification_uri: address.url('link'),
        verification_uri_complete: `${address.url('link')}?user_code=${shown}`,
        expires_in: TTL_SECONDS,
        interval: INTERVAL_SECONDS,
      }
      return
    }
    throw new UnavailableError('No free code was found: try again', { retryAfterSeconds: 1 })
  })
}
