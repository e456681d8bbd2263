import type { Knex } from 'knex'
import type { Context } from 'koa'
import { z } from 'zod'
import type { AuditEvent } from '../audit/store.ts'
import { isDeviceId } from '../oauth/device-id.ts'
import type { RequestFacts } from '../oauth/grants/request-facts.ts'
import type { PolicyGate } from '../policy/gate.ts'
import type { SessionActor } from '../sessions/sessions.ts'
import type { User } from '../users/store.ts'
import { checkMembers, optional, readJson } from './body.ts'
import type { StartCompatSession } from './compat-session.ts'
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
  return async function login(ctx: Context): Promise<void> {
    const body = await readJson(ctx)
    const asked = checkMembers(loginSchema, body)
    const type = types.get(asked.type)
    if (!type) throw new MatrixError(400, 'M_UNKNOWN', 'Invalid login type')
    // Before the password is looked at: what cannot succeed must not cost an attempt.
    const deviceId = checkedDeviceId(asked.device_id)
    const { user, browserSessionId, asked: shown, appservice, by, event, consume } = await type(ctx, body)
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
    ctx.set('Cache-Control', 'no-store')
    ctx.body = await startCompatSession({
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
}
