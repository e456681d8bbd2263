import { isDeviceId } from '../device-id.ts'
import {
  API_SCOPE,
  DEVICE_SCOPE_PREFIX,
  expandScope,
  UNSTABLE_API_SCOPE,
  UNSTABLE_DEVICE_SCOPE_PREFIX,
} from '../scopes.ts'
import type { IntrospectedToken } from './store.ts'

/** RFC 7662 §2.2, with `device_id` and `expires_in` as Synapse reads them. Members without a value are left out. */
export interface ActiveResponse {
  active: true
  scope: string
  client_id?: string
  username?: string
  token_type: 'access_token' | 'refresh_token'
  exp?: number
  expires_in?: number
  iat: number
  sub?: string
  device_id?: string
}

export const INACTIVE = { active: false } as const

/** What an introspection finds: an answer, or a user who is locked and must be held rather than signed out. */
export type Introspection = { answer: ActiveResponse | typeof INACTIVE } | { held: true }

/** MAS and Palpo read a compat session's device from the scope; Synapse from `device_id` when it says that it can. */
function scopeOf(token: IntrospectedToken, readsDeviceId: boolean): string | undefined {
  if (token.sessionKind !== 'compat') return expandScope(token.scope)
  const api = `${API_SCOPE} ${UNSTABLE_API_SCOPE}`
  const scope = token.scope ? `${api} ${token.scope}` : api
  if (readsDeviceId || token.deviceId === null) return scope
  if (!isDeviceId(token.deviceId)) return undefined
  return `${scope} ${DEVICE_SCOPE_PREFIX}${token.deviceId} ${UNSTABLE_DEVICE_SCOPE_PREFIX}${token.deviceId}`
}

/**
 * Turns what the database says of a token into an answer.
 * @param readsDeviceId whether the caller sent `X-MAS-Supports-Device-Id: 1`
 */
export function introspect(
  token: IntrospectedToken | undefined,
  { now, readsDeviceId }: { now: Date; readsDeviceId: boolean },
): Introspection {
  if (!token || token.sessionEnded || token.userDeactivated) return { answer: INACTIVE }
  // Before expiry: an expired token of a locked user must not make the client throw its keys away (invariant 8).
  if (token.userLocked) return { held: true }
  const time = now.getTime()
  if (token.consumed || (token.expiresAt !== null && token.expiresAt <= time)) return { answer: INACTIVE }
  if (token.sessionExpiresAt !== null && token.sessionExpiresAt <= time) return { answer: INACTIVE }
  const scope = scopeOf(token, readsDeviceId)
  if (scope === undefined) return { answer: INACTIVE }
  const answer: ActiveResponse = {
    active: true,
    scope,
    token_type: token.kind === 'access' ? 'access_token' : 'refresh_token',
    iat: Math.floor(token.createdAt / 1000),
  }
  if (token.clientId !== null) answer.client_id = token.clientId
  else if (token.sessionKind === 'compat') answer.client_id = 'legacy'
  if (token.localpart !== null) answer.username = token.localpart
  if (token.userId !== null) answer.sub = token.userId
  if (token.deviceId !== null) answer.device_id = token.deviceId
  if (token.expiresAt) {
    answer.exp = Math.floor(token.expiresAt / 1000)
    // Synapse takes 0 for expired and refuses fractions: round up, the token is still good for a moment.
    answer.expires_in = Math.ceil((token.expiresAt - time) / 1000)
  }
  return { answer }
}
