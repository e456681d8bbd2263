import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { z } from 'zod'
import { recordAudit } from '../../audit/store.ts'
import type { Clock } from '../../clock.ts'
import type { CheckPassword } from '../../signin/password-check.ts'
import { hashSecret } from '../../tokens/format.ts'
import { parseUserIdentifier } from '../../users/localpart.ts'
import { findUserByLocalpart, type User } from '../../users/store.ts'
import { checkMembers, optional } from '../body.ts'
import { readIdentifier } from '../identifier.ts'
import { MatrixError, userLocked } from '../matrix-error.ts'
import { createAsk } from './ask.ts'
import type { Caller } from './caller.ts'
import { type Bound, consumeInteractiveAuth, isInteractiveAuthOpen } from './store.ts'

const authSchema = z.object({
  auth: optional(
    z.object({ type: optional(z.string()), session: optional(z.string()), password: optional(z.string()) }),
  ),
})

/** What someone asks to be done, with which a password is bound to it. */
export interface Operation {
  /** The endpoint, for the audit table. */
  name: string
  /** What of the body decides what happens; never a password. */
  parameters: unknown
}

/** What is done after the right password, in the transaction in which it cannot change. */
export type Authorised<T> = (trx: Knex, user: User) => Promise<T>

/** The password was right, but the interactive authentication was used up by a twin of the request. */
class UsedUpError extends Error {}

/**
 * User-interactive authentication (Matrix 1.18) with its one stage, `m.login.password`: whoever has an access token,
 * such as a thief, must not be able to take over or delete the account with that alone.
 *
 * The ID that the first answer gives is bound to the session of the access token and to what was asked for, and good
 * for one success. A password that comes without one is taken as well, as Synapse does: it stands in the very request
 * that it authorises.
 */
export function createInteractiveAuth(deps: {
  db: Knex
  clock: Clock
  checkPassword: CheckPassword
  serverName: string
}) {
  const { db, clock, checkPassword, serverName } = deps
  const ask = createAsk({ db, clock })

  /** Somebody else's password proves nothing here, and must not be tried out here. */
  async function assertSameUser(auth: Record<string, unknown>, userId: string): Promise<void> {
    if (auth.identifier == null && auth.user == null && auth.medium == null && auth.address == null) return
    const typed = parseUserIdentifier(await readIdentifier(db, serverName, auth), serverName)
    const user = typed === undefined ? undefined : await findUserByLocalpart(db, typed)
    if (user?.id === userId) return
    throw new MatrixError(403, 'M_FORBIDDEN', 'The password must be that of the user who is signed in')
  }

  /** What `act` made, or undefined where the password was wrong. Throws UsedUpError. */
  function authorise<T>(
    ctx: Context,
    caller: Caller,
    { password, bound, act }: { password: string; bound: Bound | undefined; act: Authorised<T> },
  ) {
    const attempt = {
      identifier: caller.user.localpart,
      password,
      ip: ctx.state.ip as string,
      userAgent: ctx.get('User-Agent'),
      door: 'compat' as const,
    }
    return checkPassword(attempt, async (trx, user) => {
      if (user.id !== caller.user.id || user.deactivatedAt) {
        throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Unknown access token', {
          members: { soft_logout: false },
        })
      }
      if (user.lockedAt) throw userLocked()
      if (bound && !(await consumeInteractiveAuth(trx, bound, clock.now()))) throw new UsedUpError()
      return act(trx, user)
    })
  }

  /**
   * Asks for the password, or does what was asked for where it is there and right.
   * @returns what `act` returned; undefined where it has answered instead
   * @throws MatrixError, LimitedError, UnavailableError, what `act` throws
   */
  return async function interactively<T extends object>(
    ctx: Context,
    caller: Caller,
    operation: Operation,
    body: Record<string, unknown>,
    act: Authorised<T>,
  ): Promise<T | undefined> {
    const { auth } = checkMembers(authSchema, body)
    const requestHash = createHash('sha256')
      .update(JSON.stringify([operation.name, operation.parameters]))
      .digest()
    // An app that asks where it stands sends the ID alone.
    if (auth?.type == null) {
      await ask(ctx, caller, requestHash)
      return undefined
    }
    if (auth.type !== 'm.login.password') {
      throw new MatrixError(400, 'M_UNKNOWN', `Of the stages, only 'm.login.password' is offered`)
    }
    if (auth.password == null)
      throw new MatrixError(400, 'M_BAD_JSON', "The member 'auth.password' is missing")
    await assertSameUser(body.auth as Record<string, unknown>, caller.user.id)

    const { session: id, password } = auth
    const bound = id == null ? undefined : { hash: hashSecret(id), sessionId: caller.sessionId, requestHash }
    const again = 'This request was not asked for, or too long ago: give the password again'
    if (bound && !(await isInteractiveAuthOpen(db, bound, clock.now()))) {
      await ask(ctx, caller, requestHash, { error: again })
      return undefined
    }
    try {
      const checked = await authorise(ctx, caller, { password, bound, act })
      if (checked.ok) return checked.value
    } catch (error) {
      if (!(error instanceof UsedUpError)) throw error
      await ask(ctx, caller, requestHash, { error: again })
      return undefined
    }
    await recordAudit(db, clock.now(), {
      event: 'reauthentication.failed',
      actor: 'user',
      actorUserId: caller.user.id,
      userId: caller.user.id,
      sessionId: caller.sessionId,
      ip: ctx.state.ip as string,
      details: { method: 'password', operation: operation.name },
    })
    await ask(ctx, caller, requestHash, { error: 'Invalid password', ...(id == null ? {} : { id }) })
    return undefined
  }
}

export type InteractiveAuth = ReturnType<typeof createInteractiveAuth>
