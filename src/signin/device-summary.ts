import type { Knex } from 'knex'
import { type Client, clientName } from '../oauth/clients/clients.ts'
import { findClient } from '../oauth/clients/store.ts'
import type { Scope } from '../oauth/scopes.ts'
import { findLiveByDevice } from '../sessions/store.ts'
import type { User } from '../users/store.ts'
import type { DeviceSummary } from '../views/index.ts'

/** The device that an app asks for, and the other app that would lose it (invariant 3). */
export async function deviceSummary(
  db: Knex,
  { scope, client, user, locale }: { scope: Scope; client: Client; user: User; locale: string },
): Promise<DeviceSummary | undefined> {
  const id = scope.deviceId
  if (!id) return undefined
  const older = await findLiveByDevice(db, user.id, id)
  if (!older || older.clientId === client.clientId) return { id }
  const holder = older.clientId === null ? undefined : await findClient(db, older.clientId)
  return { id, replacesOtherApp: (holder && clientName(holder.metadata, locale)) ?? true }
}
