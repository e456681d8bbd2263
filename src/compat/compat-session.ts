import type { Knex } from 'knex'
import type { AuditEvent } from '../audit/store.ts'
import { randomDeviceId } from '../oauth/device-id.ts'
import type { SessionActor } from '../sessions/sessions.ts'
import type { StartSession } from '../sessions/start/start.ts'
import { newToken } from '../tokens/format.ts'
import type { User } from '../users/store.ts'

/** What a legacy sign-in asks for, once it is known who it is. */
export interface CompatSessionRequest {
  user: User
  /** Checked; null for a new one. */
  deviceId: string | null
  displayName: string | null
  /** Without refresh tokens the access token never expires, or old apps would be signed out. */
  withRefresh: boolean
  /** Beside what every compat session may: `urn:synapse:admin:*` or nothing. */
  scope?: string
  browserSessionId?: string | null
  ip: string | null
  userAgent: string | null
  /** See `SessionStart.appservice`. */
  appservice?: string | undefined
  /** See `SessionStart.by`. */
  by?: SessionActor | undefined
  /** See `SessionStart.event`. */
  event?: AuditEvent | undefined
  /** See `SessionStart.consume`. */
  consume: (trx: Knex, sessionId: string) => Promise<void>
}

/** The answer of a legacy sign-in (Matrix 1.18, `POST /login`). */
export interface CompatSession {
  user_id: string
  access_token: string
  device_id: string
  refresh_token?: string
  expires_in_ms?: number
  /** Deprecated, and yet read by the oldest apps. */
  home_server: string
}

/** Makes sessions of the legacy API, by the same code as every other session. */
export function createCompatSessions(deps: {
  startSession: StartSession
  serverName: string
  /** Seconds that an access token lives which can be refreshed. */
  accessTokenTtl: number
}) {
  const { startSession, serverName, accessTokenTtl } = deps

  /** @throws what `StartSession` throws */
  return async function startCompatSession(request: CompatSessionRequest): Promise<CompatSession> {
    const deviceId = request.deviceId ?? randomDeviceId()
    const accessToken = newToken('mct')
    const refreshToken = request.withRefresh ? newToken('mcr') : null
    await startSession({
      kind: 'compat',
      user: request.user,
      clientId: null,
      deviceId,
      deviceIsNew: request.deviceId === null,
      deviceName: request.displayName,
      name: request.displayName,
      scope: request.scope ?? '',
      browserSessionId: request.browserSessionId ?? null,
      appservice: request.appservice,
      ip: request.ip,
      userAgent: request.userAgent,
      accessToken,
      accessTokenTtl: request.withRefresh ? accessTokenTtl : null,
      refreshToken,
      by: request.by,
      event: request.event,
      consume: request.consume,
    })
    return {
      user_id: `@${request.user.localpart}:${serverName}`,
      access_token: accessToken,
      device_id: deviceId,
      ...(refreshToken ? { refresh_token: refreshToken, expires_in_ms: accessTokenTtl * 1000 } : {}),
      home_server: serverName,
    }
  }
}

export type StartCompatSession = ReturnType<typeof createCompatSessions>
