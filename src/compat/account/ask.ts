import type { Knex } from 'knex'
import type { Context } from 'koa'
import type { Clock } from '../../clock.ts'
import { hashSecret, randomBase62 } from '../../tokens/format.ts'
import type { Caller } from './caller.ts'
import { insertInteractiveAuth } from './store.ts'

/** How long the password may take after the request that it is asked for. */
const OPEN_MS = 15 * 60 * 1000
const ID_LENGTH = 32

/** The answer that asks for the password (Matrix 1.18, "User-Interactive Authentication API"). */
export function createAsk({ db, clock }: { db: Knex; clock: Clock }) {
  /** Answers 401 with what is asked for. A wrong password leaves the present ID in use. */
  return async function ask(
    ctx: Context,
    { sessionId }: Caller,
    requestHash: Buffer,
    { id, error }: { id?: string; error?: string } = {},
  ): Promise<void> {
    const session = id ?? randomBase62(ID_LENGTH)
    if (id === undefined) {
      const createdAt = clock.now()
      const expiresAt = new Date(createdAt.getTime() + OPEN_MS)
      await insertInteractiveAuth(db, {
        hash: hashSecret(session),
        sessionId,
        requestHash,
        createdAt,
        expiresAt,
      })
    }
    ctx.status = 401
    ctx.set('Cache-Control', 'no-store')
    ctx.body = {
      ...(error === undefined ? {} : { errcode: 'M_FORBIDDEN', error, completed: [] }),
      flows: [{ stages: ['m.login.password'] }],
      params: {},
      session,
    }
  }
}
