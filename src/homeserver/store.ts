import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../ids.ts'
import { queryPrepared } from '../storage/prepared.ts'
import { gateOf } from './gate.ts'

/** What of a user matters to the homeserver. */
export interface UserState {
  localpart: string
  lockedAt: Date | null
  deactivatedAt: Date | null
  provisionedAt: Date | null
}

/** What is locked for a user, by `pg_advisory_xact_lock(hashtextextended(key, 0))`. */
export function userLockKey(userId: string): string {
  return `postern:user:${toUuid(userId)}`
}

/**
 * Runs `fn` in a transaction that nobody else runs for the same user, on any replica. Whoever makes or deletes
 * devices at the homeserver does it in here, together with the look at the sessions that decides about it:
 * otherwise a clean-up could delete the device that a sign-in is just making.
 *
 * `fn` may call the homeserver, so it must use the transaction that it is given for all its SQL. A wait of more
 * than a few seconds fails like any slow statement (503).
 */
export async function withUserLock<T>(
  knex: Knex,
  userId: string,
  fn: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  return gateOf(knex).run(() =>
    knex.transaction(async (trx) => {
      await trx.raw('select pg_advisory_xact_lock(hashtextextended(?, 0))', [userLockKey(userId)])
      return fn(trx)
    }),
  )
}

/**
 * Counts that devices of this user are about to be deleted. A sign-in that made its device meanwhile sees the count
 * change and makes it again, so it needs no lock while it talks to the homeserver.
 */
export async function bumpDeviceEpoch(trx: Knex, userId: string): Promise<void> {
  await trx('users')
    .where({ id: toUuid(userId) })
    .increment('device_epoch', 1)
}

/**
 * Notes that a sign-in is about to make a device at the homeserver, so that it is taken back where the sign-in comes to
 * nothing. Answers the user's device epoch, which the sign-in compares under the user's lock after.
 */
export async function announceDevice(
  db: Knex,
  { userId, deviceId, at }: { userId: string; deviceId: string; at: Date },
): Promise<number> {
  const [row] = await queryPrepared<{ device_epoch: number }>(
    db,
    'announce-device',
    `with announced as (
       insert into unclaimed_devices (user_id, device_id, announced_at) values ($1, $2, $3)
         on conflict (user_id, device_id) do update set announced_at = excluded.announced_at
     )
     select device_epoch from users where id = $1`,
    [toUuid(userId), deviceId, at],
  )
  return row?.device_epoch ?? 0
}

/** Takes back the notes about devices that were announced before a time and that no session has claimed. */
export async function takeUnclaimedDevices(
  trx: Knex,
  before: Date,
  limit: number,
): Promise<{ userId: string; deviceId: string }[]> {
  const { rows } = await trx.raw<{ rows: { user_id: string; device_id: string }[] }>(
    `delete from unclaimed_devices where (user_id, device_id) in (
       select user_id, device_id from unclaimed_devices where announced_at < ? limit ? for update skip locked
     ) returning user_id, device_id`,
    [before, limit],
  )
  return rows.map((row) => ({ userId: fromUuid(row.user_id), deviceId: row.device_id }))
}

export async function findUserState(db: Knex, userId: string): Promise<UserState | undefined> {
  const row = await db('users')
    .where({ id: toUuid(userId) })
    .first('localpart', 'locked_at', 'deactivated_at', 'provisioned_at')
  if (!row) return undefined
  return {
    localpart: row.localpart,
    lockedAt: row.locked_at,
    deactivatedAt: row.deactivated_at,
    provisionedAt: row.provisioned_at,
  }
}

/** Records that the homeserver confirmed at `at` that it has this user. */
export async function markProvisioned(db: Knex, userId: string, at: Date): Promise<void> {
  await db('users')
    .where({ id: toUuid(userId) })
    .update({ provisioned_at: at })
}

/** Whether a session that has not ended holds this device. */
export async function isDeviceHeld(db: Knex, userId: string, deviceId: string): Promise<boolean> {
  const row = await db('sessions')
    .where({ user_id: toUuid(userId), device_id: deviceId })
    .whereNull('ended_at')
    .first('id')
  return row !== undefined
}

/** The devices of all sessions of a user that have not ended. */
export async function listHeldDevices(db: Knex, userId: string): Promise<string[]> {
  const rows: { device_id: string }[] = await db('sessions')
    .where({ user_id: toUuid(userId) })
    .whereNull('ended_at')
    .whereNotNull('device_id')
    .orderBy('device_id')
    .select('device_id')
  return rows.map((row) => row.device_id)
}
