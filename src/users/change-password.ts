import type { Knex } from 'knex'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { Ended, Sessions } from '../sessions/sessions.ts'
import type { CheckPassword } from '../signin/password-check.ts'
import type { Passwords } from './passwords.ts'
import { setPasswordHash, type User } from './store.ts'

export interface PasswordChange {
  user: User
  current: string
  next: string
  /** Sign out every app, and every browser but this one. */
  endOtherSessions: boolean
  /** The browser session on whose page this happens; it gets a new cookie. */
  browserSessionId: string
  cookie: string
  ip: string
  userAgent?: string | undefined
}

export type PasswordChanged =
  | { ok: true /** the browser session's new cookie: the old one is dead (check 64) */; cookie: string }
  | { ok: false; reason: 'credentials' }

export interface ChangePasswordDeps {
  db: Knex
  clock: Clock
  passwords: Passwords
  checkPassword: CheckPassword
  sessions: Pick<Sessions, 'endAllWithin' | 'settle'>
  browserSessions: Pick<BrowserSessions, 'endOthers' | 'reauthenticate'>
}

/** A user who is signed in changes the password. */
export function createChangePassword(deps: ChangePasswordDeps) {
  const { db, clock, passwords, checkPassword, sessions, browserSessions } = deps

  /**
   * Wrong current passwords count like failed sign-ins (check 60). Throws one of `PasswordRefusal`, LimitedError,
   * UnavailableError, PolicyDeniedError, `user_locked`, `signed_out` where the browser session has ended meanwhile.
   */
  return async function changePassword(change: PasswordChange): Promise<PasswordChanged> {
    const { user, current, next, ip, userAgent } = change
    const by = { actor: 'user', actorUserId: user.id, ip, userAgent } as const
    passwords.assertAcceptable(next, user.localpart)
    const hash = await passwords.hash(next)
    const attempt = {
      identifier: user.localpart,
      password: current,
      ip,
      userAgent,
      door: 'password_change' as const,
    }

    const checked = await checkPassword(attempt, async (trx, present) => {
      if (present.id !== user.id || present.deactivatedAt) throw signedOut()
      if (present.lockedAt) {
        throw new PosternError('user_locked', 'This account is locked', { status: 403 })
      }
      const at = clock.now()
      await setPasswordHash(trx, user.id, hash, at)
      const rotated = await browserSessions.reauthenticate(trx, change.cookie)
      if (rotated?.session.id !== change.browserSessionId) throw signedOut()
      const details = { endOtherSessions: change.endOtherSessions }
      await recordAudit(trx, at, { event: 'password.changed', ...by, userId: user.id, details })
      const ended = change.endOtherSessions ? await endOthers(trx, change, by) : []
      return { cookie: rotated.cookie, ended }
    })

    if (!checked.ok) {
      await recordAudit(db, clock.now(), { event: 'password.change_failed', ...by, userId: user.id })
      return { ok: false, reason: 'credentials' }
    }
    await sessions.settle(checked.value.ended)
    return { ok: true, cookie: checked.value.cookie }
  }

  async function endOthers(
    trx: Knex,
    change: PasswordChange,
    by: { actor: 'user'; actorUserId: string; ip: string },
  ): Promise<Ended[]> {
    // Before the browsers, which would end some of them for another reason.
    const ended = await sessions.endAllWithin(trx, change.user.id, 'password_changed', by)
    await browserSessions.endOthers(trx, change.user.id, change.browserSessionId, by)
    return ended
  }
}

function signedOut(): PosternError {
  return new PosternError('signed_out', 'This browser is no longer signed in', { status: 401 })
}

export type ChangePassword = ReturnType<typeof createChangePassword>
