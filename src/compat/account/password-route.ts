import type Router from '@koa/router'
import { z } from 'zod'
import { recordAudit } from '../../audit/store.ts'
import { PosternError } from '../../errors.ts'
import { setPasswordHash, type User } from '../../users/store.ts'
import { checkMembers, optional, readJson } from '../body.ts'
import { MatrixError } from '../matrix-error.ts'
import { clientPaths } from '../paths.ts'
import type { AccountApiDeps } from './routes.ts'

const passwordSchema = z.object({ new_password: z.string(), logout_devices: optional(z.boolean()) })

/** `POST /account/password` (Matrix 1.18, "Password management"). */
export function addPasswordRoute(router: Router, deps: AccountApiDeps): void {
  const { clock, passwords, sessions, browserSessions, callerOf, interactively } = deps

  /** @throws MatrixError `M_WEAK_PASSWORD` */
  function assertAcceptable(password: string, user: User): void {
    try {
      passwords.assertAcceptable(password, user.localpart)
    } catch (error) {
      if (!(error instanceof PosternError)) throw error
      throw new MatrixError(400, 'M_WEAK_PASSWORD', error.message)
    }
  }

  router.post(clientPaths('account/password'), async (ctx) => {
    const caller = await callerOf(ctx)
    const { user, sessionId } = caller
    const body = await readJson(ctx)
    const { new_password: next, logout_devices } = checkMembers(passwordSchema, body)
    const endOtherSessions = logout_devices ?? true
    assertAcceptable(next, user)
    // The new password is no part of what the first answer is bound to: a quick hash of it would lie in the database.
    const operation = { name: 'account/password', parameters: { endOtherSessions } }
    const hash = body.auth == null ? '' : await passwords.hash(next)
    const by = { actor: 'user', actorUserId: user.id, ip: ctx.state.ip as string } as const

    const ended = await interactively(ctx, caller, operation, body, async (trx) => {
      const at = clock.now()
      await setPasswordHash(trx, user.id, hash, at)
      const details = { endOtherSessions, session: sessionId }
      await recordAudit(trx, at, { event: 'password.changed', ...by, userId: user.id, details })
      if (!endOtherSessions) return []
      // The app that asks stays signed in, as the specification wants.
      const keep = ({ id }: { id: string }) => id === sessionId
      const ended = await sessions.endAllWithin(trx, user.id, 'password_changed', by, keep)
      await browserSessions.endOthers(trx, user.id, undefined, by)
      return ended
    })
    if (!ended) return
    await sessions.settle(ended)
    ctx.body = {}
  })
}
