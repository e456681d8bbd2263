import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Homeserver } from './client.ts'
import { deleting } from './deleting.ts'
import { findUserState, markProvisioned } from './store.ts'

export interface HomeserverDeps {
  knex: Knex
  homeserver: Homeserver
  clock: Clock
  log: Logger
}

/**
 * Makes sure that the homeserver has the user, before the user's first token leaves: a token of a user whom the
 * homeserver doesn't know fails there. Does nothing for users it confirmed before. Throws HomeserverError.
 */
export async function provisionUser(
  { knex, homeserver, clock }: Pick<HomeserverDeps, 'knex' | 'homeserver' | 'clock'>,
  user: { id: string; localpart: string; lockedAt: Date | null; provisionedAt: Date | null },
): Promise<void> {
  if (user.provisionedAt || !homeserver.configured) return
  await homeserver.provisionUser({ localpart: user.localpart, locked: user.lockedAt !== null })
  await markProvisioned(knex, user.id, clock.now())
}

/**
 * Brings the homeserver's idea of a user up to date with the present state here, whatever it was before: active,
 * locked or deactivated. Throws HomeserverError.
 *
 * A user who was never provisioned is not deactivated there: whoever has that name there may be someone else.
 */
export async function syncUser(
  { knex, homeserver, clock, log }: HomeserverDeps,
  { userId, erase = false }: { userId: string; erase?: boolean },
): Promise<void> {
  if (!homeserver.configured) return
  await deleting(knex, userId, async (trx) => {
    const user = await findUserState(trx, userId)
    if (!user) return undefined
    const { localpart } = user
    if (user.deactivatedAt) {
      if (!user.provisionedAt) return undefined
      log.info({ userId, erase }, 'homeserver.user_deactivated')
      return () => homeserver.deleteUser(localpart, { erase })
    }
    const there = await homeserver.queryUser(localpart)
    if (there?.isDeactivated) await homeserver.reactivateUser(localpart)
    await homeserver.provisionUser({ localpart, locked: user.lockedAt !== null })
    await markProvisioned(trx, userId, clock.now())
    return undefined
  })
}
