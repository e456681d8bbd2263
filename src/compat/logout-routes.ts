import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Sessions } from '../sessions/sessions.ts'
import { lockUserRow } from '../users/store.ts'
import type { FindBearer } from './bearer.ts'
import { clientPaths } from './paths.ts'

/**
 * `POST /logout` and `/logout/all`. They look at compat sessions only: what was signed in through OAuth is signed out
 * there (Matrix 1.18: tokens of one API are managed by that API). Locked users may sign out.
 */
export function addLogoutRoutes(
  router: Router,
  {
    db,
    sessions,
    bearer,
  }: { db: Knex; sessions: Pick<Sessions, 'end' | 'endAllWithin' | 'settle'>; bearer: FindBearer },
): void {
  router.post(clientPaths('logout'), async (ctx) => {
    const { sessionId, userId } = await bearer(ctx, ['compat'])
    const by = { actor: 'user', actorUserId: userId, ip: ctx.state.ip as string } as const
    await sessions.end(sessionId, 'signed_out', by)
    ctx.body = {}
  })

  router.post(clientPaths('logout/all'), async (ctx) => {
    const { userId } = await bearer(ctx, ['compat'])
    const by = { actor: 'user', actorUserId: userId, ip: ctx.state.ip as string } as const
    const ended = await db.transaction(async (trx) => {
      // Whoever ends several sessions of a user holds the user's row, or two of them would wait for each other.
      await lockUserRow(trx, userId)
      return sessions.endAllWithin(trx, userId, 'signed_out', by, ({ kind }) => kind !== 'compat')
    })
    await sessions.settle(ended)
    ctx.body = {}
  })
}
