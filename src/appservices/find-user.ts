import type { Knex } from 'knex'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import type { Homeserver } from '../homeserver/client.ts'
import { newId } from '../ids.ts'
import { findUserByLocalpart, insertUser, type User, updateUser } from '../users/store.ts'
import type { Appservice } from './registration.ts'

/**
 * Finds the users of appservices. They register their users at the homeserver with their own token, so that this
 * service hears of one only when the appservice signs it in: a user whom the homeserver has is added here then,
 * without a password, so that nobody else can sign in as them.
 */
export function createFindAppserviceUser({
  db,
  clock,
  homeserver,
}: {
  db: Knex
  clock: Clock
  homeserver: Pick<Homeserver, 'queryUser'>
}) {
  /** The user of exactly this localpart: one that differs in case may not be the appservice's. */
  async function findHere(localpart: string): Promise<User | undefined> {
    const user = await findUserByLocalpart(db, localpart)
    return user?.localpart === localpart ? user : undefined
  }

  async function add(localpart: string, appservice: Appservice, ip: string): Promise<void> {
    await db.transaction(async (trx) => {
      const at = clock.now()
      const id = newId(at)
      // A twin of this request may have been faster.
      if (!(await insertUser(trx, { id, localpart, createdAt: at }))) return
      await updateUser(trx, id, { provisionedAt: at })
      const details = { localpart, admin: false, adopted: true, appservice: appservice.id }
      await recordAudit(trx, at, { event: 'user.added', actor: 'client', userId: id, ip, details })
    })
  }

  /**
   * The user of a localpart that the appservice owns: `deactivated` at the homeserver, or undefined where neither
   * this service nor the homeserver has one. Throws HomeserverError.
   */
  return async function findAppserviceUser(
    localpart: string,
    appservice: Appservice,
    ip: string,
  ): Promise<User | 'deactivated' | undefined> {
    const known = await findHere(localpart)
    if (known) return known.deactivatedAt ? 'deactivated' : known
    const there = await homeserver.queryUser(localpart)
    if (!there) return undefined
    if (there.isDeactivated) return 'deactivated'
    await add(localpart, appservice, ip)
    return findHere(localpart)
  }
}

export type FindAppserviceUser = ReturnType<typeof createFindAppserviceUser>
