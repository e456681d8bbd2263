import type { Knex } from 'knex'
import type { Context } from 'koa'
import { z } from 'zod'
import type { AuditEvent } from '../audit/store.ts'
import { isDeviceId } from '../oauth/device-id.ts'
import type { RequestFacts } from '../oauth/grants/request-facts.ts'
import type { PolicyGate } from '../policy/gate.ts'
import { PolicyDeniedError } from '../policy/refusal.ts'
import { SessionLimitError } from '../sessions/session-limit.ts'
import type { SessionActor } from '../sessions/sessions.ts'
import { UserGoneError } from '../sessions/start/start.ts'
import type { LateRefusal } from '../signin/password-sign-in.ts'
import type { User } from '../users/store.ts'
import { checkMembers, optional, readJson } from './body.ts'
import type { CompatSession, StartCompatSession } from './compat-session.ts'
import { MatrixError } from './matrix-error.ts'

/** Who signs in by one of the login types, and how what they showed is used up. */
export interface LoggedIn {
  user: User
  browserSessionId?: string | null
  /** See `SessionStart.appservice`. */
  appservice?: string
  /** How the person showed who they are, for the operator's rules; absent for appservices, which have none. */
  asked?: { type: 'password' | 'token'; authenticatedAt: Date; approvedAt?: Date }
  /** See `SessionStart.by`. */
  by?: SessionActor
  /** See `SessionStart.event`. */
  event?: AuditEvent
  /** See `SessionStart.consume`. */
  consume: (trx: Knex, sessionId: string) => Promise<void>
  /** Records that nothing came of it, where that is worth a line in the audit table. */
  refused?: (reason: LateRefusal) => Promise<void>
}

/** One login type of `POST /login`. @throws MatrixError, LimitedError, UnavailableError */
export type LoginType = (ctx: Context, body: Record<string, unknown>) => Promise<LoggedIn>

const loginSchema = z.object({
  type: z.string(),
  device_id: optional(z.string()),
  initial_device_display_name: optional(z.string()),
  refresh_token: optional(z.boolean()),
})

/** Synapse refuses longer names; a long name must not stop a sign-in. */
const MAX_DISPLAY_NAME = 100

function checkedDeviceId(deviceId: string | null | undefined): string | null {
  if (deviceId == null) return null
  if (isDeviceId(deviceId)) return deviceId
  const allowed = '1 to 255 printable ASCII characters, without spaces, quotes and backslashes'
  throw new MatrixError(400, 'M_INVALID_PARAM', `The member 'device_id' must have ${allowed}`)
}

/** `POST /login` (Matrix 1.18, "Legacy API"): one of `types`, then a session for whoever it was. */
export function createLogin({
  types,
  startCompatSession,
  facts,
  gate,
}: {
  types: ReadonlyMap<string, LoginType>
  startCompatSession: StartCompatSession
  facts: RequestFacts
  gate: Pick<PolicyGate, 'compatLogin'>
}) {
  async function start(
    ctx: Context,
    asked: z.output<typeof loginSchema>,
    deviceId: string | null,
    { user, browserSessionId, asked: shown, appservice, by, event, consume }: LoggedIn,
  ): Promise<CompatSession> {
    const displayName = [...(asked.initial_device_display_name ?? '').trim()]
      .slice(0, MAX_DISPLAY_NAME)
      .join('')
    const ip = facts.ip(ctx)
    const userAgent = facts.userAgent(ctx)
    if (shown) {
      const login = { ...shown, deviceId, name: displayName }
      // Here nobody can be asked: whoever came by the page gave their password there, where a rule wanted it.
      if (gate.compatLogin(user, { ip, userAgent }, login) === 'reauthenticate') {
        throw new MatrixError(403, 'M_FORBIDDEN', 'Sign in again: your password is needed once more')
      }
    }
    return startCompatSession({
      user,
      deviceId,
      displayName: displayName || null,
      withRefresh: asked.refresh_token ?? false,
      browserSessionId: browserSessionId ?? null,
      ip,
      userAgent,
      appservice,
      by,
      event,
      consume,
    })
  }

  return async function login(ctx: Context): Promise<void> {
    const body = await readJson(ctx)
    const asked = checkMembers(loginSchema, body)
    const type = types.get(asked.type)
    if (!type) throw new MatrixError(400, 'M_UNKNOWN', 'Invalid login type')
    // Before the password is looked at: what cannot succeed must not cost an attempt.
    const deviceId = checkedDeviceId(asked.device_id)
    const loggedIn = await type(ctx, body)
    try {
      ctx.body = await start(ctx, asked, deviceId, loggedIn)
    } catch (error) {
      const reason = refusalIn(error)
      if (reason) await loggedIn.refused?.(reason)
      throw error
    }
    ctx.set('Cache-Control', 'no-store')
  }
}

/** Why somebody who has shown who they are got no session; undefined for trouble of ours, which is no refusal. */
function refusalIn(error: unknown): LateRefusal | undefined {
  if (error instanceof UserGoneError) return 'deactivated'
  if (error instanceof SessionLimitError) return 'session_limit'
  if (error instanceof PolicyDeniedError) return 'policy'
  if (error instanceof MatrixError) return error.code === 'M_USER_LOCKED' ? 'locked' : 'policy'
  return undefined
}
