import type { Knex } from 'knex'
import { type AuditEvent, recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { PasswordDoor } from '../policy/gate.ts'
import { PolicyDeniedError } from '../policy/refusal.ts'
import type { Passwords } from '../users/passwords.ts'
import type { User } from '../users/store.ts'
import type {
  CheckPassword,
  ComparePassword,
  PasswordChecked,
  RightPassword,
  WithRightPassword,
} from './password-check.ts'
import { cleanForAudit } from './typed-name.ts'

export interface SignInRequest {
  /** What was typed: a localpart or a whole user ID. */
  identifier: string
  password: string
  ip: string
  userAgent?: string | undefined
  /** See `PasswordAttempt.door`. */
  door?: PasswordDoor
}

/** Why not. `locked` and `deactivated` are told after the right password only (invariants 8 and 9). */
export type SignInRefusal = 'credentials' | 'locked' | 'deactivated'

/** Why a right password came to nothing, where it did so later. */
export type LateRefusal = 'locked' | 'deactivated' | 'policy' | 'session_limit'

export type SignInResult<T> = { ok: true; user: User; value: T } | { ok: false; reason: SignInRefusal }

/** What the sign-in makes, such as a browser session; it stands if, and only if, the sign-in stands. */
export type Establish<T> = WithRightPassword<T>

export interface PasswordSignIn {
  /** Throws LimitedError, UnavailableError, PolicyDeniedError, or `passwords_disabled`. */
  signIn<T = undefined>(request: SignInRequest, establish?: Establish<T>): Promise<SignInResult<T>>
  /**
   * The same for a session that stands only after the homeserver was asked: whoever makes it holds the password and
   * records the event in its transaction. Throws what `signIn` throws.
   */
  begin(request: SignInRequest): Promise<SignInResult<BegunSignIn>>
}

/** A sign-in that stands as soon as a session does. */
export interface BegunSignIn extends Pick<RightPassword, 'hold'> {
  event: AuditEvent
  /** Records that it came to nothing. */
  refused(reason: LateRefusal): Promise<void>
}

/** Signing in with a password, the same for the page and for the compat login. */
export function createPasswordSignIn(deps: {
  db: Knex
  passwords: Pick<Passwords, 'enabled'>
  clock: Clock
  checkPassword: CheckPassword
  comparePassword: ComparePassword
}): PasswordSignIn {
  const { db, passwords, clock, checkPassword, comparePassword } = deps

  async function recordFailure(
    trx: Knex,
    request: SignInRequest,
    reason: SignInRefusal | LateRefusal,
    user?: { id: string | undefined },
  ) {
    await recordAudit(trx, clock.now(), {
      event: 'sign_in.failed',
      actor: 'user',
      userId: user?.id,
      ip: request.ip,
      userAgent: request.userAgent,
      details: { method: 'password', reason, typed: cleanForAudit(request.identifier) },
    })
  }

  const reasonAgainst = (user: User): SignInRefusal | undefined =>
    user.deactivatedAt ? 'deactivated' : user.lockedAt ? 'locked' : undefined

  function succeeded(request: SignInRequest, user: User): AuditEvent {
    return {
      event: 'sign_in.succeeded',
      actor: 'user',
      actorUserId: user.id,
      userId: user.id,
      ip: request.ip,
      userAgent: request.userAgent,
      details: { method: 'password' },
    }
  }

  async function complete<T>(
    trx: Knex,
    user: User,
    hash: string,
    request: SignInRequest,
    establish: Establish<T>,
  ): Promise<SignInResult<T>> {
    const reason = reasonAgainst(user)
    if (reason) {
      await recordFailure(trx, request, reason, user)
      return { ok: false, reason }
    }
    const value = await establish(trx, user, hash)
    await recordAudit(trx, clock.now(), succeeded(request, user))
    return { ok: true, user, value }
  }

  /** Runs a check of the password, and records where it or a rule of the operator says no. */
  async function recorded<T>(
    request: SignInRequest,
    check: () => Promise<PasswordChecked<T>>,
  ): Promise<PasswordChecked<T>> {
    if (!passwords.enabled) {
      throw new PosternError('passwords_disabled', 'Passwords are switched off here', { status: 403 })
    }
    const checked = await check().catch(async (error: unknown) => {
      if (error instanceof PolicyDeniedError) await recordFailure(db, request, 'policy', { id: error.userId })
      throw error
    })
    if (!checked.ok) await recordFailure(db, request, 'credentials', checked.user)
    return checked
  }

  async function signIn<T = undefined>(
    request: SignInRequest,
    establish: Establish<T> = async () => undefined as T,
  ): Promise<SignInResult<T>> {
    const checked = await recorded(request, () =>
      checkPassword(request, (trx, user, hash) => complete(trx, user, hash, request, establish)),
    )
    return checked.ok ? checked.value : { ok: false, reason: 'credentials' }
  }

  async function begin(request: SignInRequest): Promise<SignInResult<BegunSignIn>> {
    const checked = await recorded(request, () => comparePassword(request))
    if (!checked.ok) return { ok: false, reason: 'credentials' }
    const { user, hold } = checked.value
    const reason = reasonAgainst(user)
    if (reason) {
      await recordFailure(db, request, reason, user)
      return { ok: false, reason }
    }
    const refused = (late: LateRefusal) => recordFailure(db, request, late, user)
    return { ok: true, user, value: { hold, event: succeeded(request, user), refused } }
  }

  return { signIn, begin }
}
