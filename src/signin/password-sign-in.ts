import type { Knex } from 'knex'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { PasswordDoor } from '../policy/gate.ts'
import { PolicyDeniedError } from '../policy/refusal.ts'
import type { Passwords } from '../users/passwords.ts'
import type { User } from '../users/store.ts'
import type { CheckPassword, WithRightPassword } from './password-check.ts'
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

export type SignInResult<T> = { ok: true; user: User; value: T } | { ok: false; reason: SignInRefusal }

/** What the sign-in makes, such as a browser session; it stands if, and only if, the sign-in stands. */
export type Establish<T> = WithRightPassword<T>

export interface PasswordSignIn {
  /** Throws LimitedError, UnavailableError, PolicyDeniedError, or `passwords_disabled`. */
  signIn<T = undefined>(request: SignInRequest, establish?: Establish<T>): Promise<SignInResult<T>>
}

/** Signing in with a password, the same for the page and for the compat login. */
export function createPasswordSignIn(deps: {
  db: Knex
  passwords: Pick<Passwords, 'enabled'>
  clock: Clock
  checkPassword: CheckPassword
}): PasswordSignIn {
  const { db, passwords, clock, checkPassword } = deps

  async function recordFailure(
    trx: Knex,
    request: SignInRequest,
    reason: SignInRefusal | 'policy',
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

  async function complete<T>(
    trx: Knex,
    user: User,
    hash: string,
    request: SignInRequest,
    establish: Establish<T>,
  ): Promise<SignInResult<T>> {
    const reason = user.deactivatedAt ? 'deactivated' : user.lockedAt ? 'locked' : undefined
    if (reason) {
      await recordFailure(trx, request, reason, user)
      return { ok: false, reason }
    }
    const value = await establish(trx, user, hash)
    await recordAudit(trx, clock.now(), {
      event: 'sign_in.succeeded',
      actor: 'user',
      actorUserId: user.id,
      userId: user.id,
      ip: request.ip,
      userAgent: request.userAgent,
      details: { method: 'password' },
    })
    return { ok: true, user, value }
  }

  async function signIn<T = undefined>(
    request: SignInRequest,
    establish: Establish<T> = async () => undefined as T,
  ): Promise<SignInResult<T>> {
    if (!passwords.enabled) {
      throw new PosternError('passwords_disabled', 'Passwords are switched off here', { status: 403 })
    }
    const checked = await checkPassword(request, (trx, user, hash) =>
      complete(trx, user, hash, request, establish),
    ).catch(async (error: unknown) => {
      if (error instanceof PolicyDeniedError) await recordFailure(db, request, 'policy', { id: error.userId })
      throw error
    })
    if (checked.ok) return checked.value
    await recordFailure(db, request, 'credentials', checked.user)
    return { ok: false, reason: 'credentials' }
  }

  return { signIn }
}
