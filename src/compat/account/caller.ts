import type { Knex } from 'knex'
import type { Context } from 'koa'
import type { Appservices } from '../../appservices/appservices.ts'
import { API_SCOPE, expandScope } from '../../oauth/scopes.ts'
import { findUserById, getPasswordHash, type User } from '../../users/store.ts'
import { type FindBearer, presentedToken } from '../bearer.ts'
import { MatrixError, userLocked } from '../matrix-error.ts'

/** Who asks for something to be done to their own account, by the access token of which session. */
export interface Caller {
  user: User
  sessionId: string
}

/** Reads who a request about the account is from. Apps that signed in by OAuth may ask too, where they have the API's scope. */
export function createCaller({
  db,
  bearer,
  appservices,
  passwords,
  accountUrl,
}: {
  db: Knex
  bearer: FindBearer
  appservices: Appservices
  /** Whether people have passwords here at all. */
  passwords: boolean
  /** Where people without one manage their account. */
  accountUrl: string
}) {
  /**
   * @throws MatrixError where the token is no good for this, the user is locked, or has no password to show who they
   * are with
   */
  return async function callerOf(ctx: Context): Promise<Caller> {
    const token = presentedToken(ctx)
    if (token !== undefined && appservices.byToken(token)) {
      const hint = 'the reverse proxy has to send requests with an as_token on to the homeserver'
      throw new MatrixError(404, 'M_UNRECOGNIZED', `This is for people's accounts: ${hint}`)
    }
    const found = await bearer(ctx, ['oauth', 'compat'])
    if (found.kind === 'oauth' && !expandScope(found.scope).split(' ').includes(API_SCOPE)) {
      throw new MatrixError(
        403,
        'M_FORBIDDEN',
        `The access token is not for this: its scope lacks ${API_SCOPE}`,
      )
    }
    if (found.userLocked) throw userLocked()
    const user = await findUserById(db, found.userId)
    const hash = passwords && user ? await getPasswordHash(db, user.id) : undefined
    if (!user || hash === undefined) {
      throw new MatrixError(
        403,
        'M_FORBIDDEN',
        `This account has no password to confirm with: use ${accountUrl}`,
      )
    }
    return { user, sessionId: found.sessionId }
  }
}

export type CallerOf = ReturnType<typeof createCaller>
