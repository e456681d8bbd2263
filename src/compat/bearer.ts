import type { Knex } from 'knex'
import type { Context } from 'koa'
import type { Clock } from '../clock.ts'
import type { SessionKind } from '../sessions/store.ts'
import { hashSecret, mayBeToken } from '../tokens/format.ts'
import { type AccessToken, findAccessToken } from '../tokens/store.ts'
import { MatrixError } from './matrix-error.ts'

/** A live access token of a user, with its session. The user may be locked: the caller looks. */
export type Bearer = AccessToken & { userId: string }

/** The access token of a request: from the header, or from the query as older apps send it. */
export function presentedToken(ctx: Context): string | undefined {
  const header = /^bearer +(\S+) *$/i.exec(ctx.get('Authorization'))?.[1]
  if (header !== undefined) return header
  const { access_token: query } = ctx.query
  return typeof query === 'string' && query !== '' ? query : undefined
}

/**
 * Who a request of the client-server API is from.
 * @throws MatrixError `M_MISSING_TOKEN`, or `M_UNKNOWN_TOKEN` with `soft_logout` where the token has only expired
 */
export function createBearer({ db, clock }: { db: Knex; clock: Clock }) {
  return async function bearer(ctx: Context, kinds: readonly SessionKind[]): Promise<Bearer> {
    const presented = presentedToken(ctx)
    if (presented === undefined) {
      throw new MatrixError(401, 'M_MISSING_TOKEN', 'The request has no access token')
    }
    const found = mayBeToken(presented) ? await findAccessToken(db, hashSecret(presented)) : undefined
    const userId = found?.userId
    if (!found || !userId || !found.sessionLive || found.userDeactivated || !kinds.includes(found.kind)) {
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Unknown access token', {
        members: { soft_logout: false },
      })
    }
    const now = clock.now()
    const past = (time: Date | null) => time !== null && time <= now
    if (found.consumed || past(found.expiresAt) || past(found.sessionExpiresAt)) {
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'This access token has expired', {
        members: { soft_logout: true },
      })
    }
    return { ...found, userId }
  }
}

export type FindBearer = ReturnType<typeof createBearer>
