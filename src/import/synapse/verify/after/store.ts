import type { Knex } from 'knex'

/** A user as it arrived. */
export interface UserAfter {
  localpart: string
  passwordHash: string | null
  admin: boolean
  locked: boolean
  deactivated: boolean
}

/** A session that goes on, and has a device. */
export interface DeviceAfter {
  localpart: string
  deviceId: string
  name: string | null
  createdAt: Date
}

/** When the first import began; undefined where nothing was imported yet. */
export async function firstImport(db: Knex, serverName: string): Promise<Date | undefined> {
  const row = await db('imports').where({ server_name: serverName }).min('started_at as at').first()
  return (row as { at: Date | null } | undefined)?.at ?? undefined
}

export async function usersAfter(db: Knex, localparts: readonly string[]): Promise<Map<string, UserAfter>> {
  const rows: UserAfter[] = await db('users')
    .leftJoin('user_passwords', 'user_passwords.user_id', 'users.id')
    .whereIn('localpart', localparts)
    .select({
      localpart: 'localpart',
      passwordHash: 'user_passwords.hash',
      admin: 'is_admin',
      locked: db.raw('locked_at is not null'),
      deactivated: db.raw('deactivated_at is not null'),
    })
  return new Map(rows.map((row) => [row.localpart, row]))
}

export async function devicesAfter(db: Knex, localparts: readonly string[]): Promise<DeviceAfter[]> {
  return db('sessions')
    .join('users', 'users.id', 'sessions.user_id')
    .whereIn('localpart', localparts)
    .whereNull('ended_at')
    .whereNotNull('device_id')
    .select({
      localpart: 'localpart',
      deviceId: 'device_id',
      name: 'sessions.name',
      createdAt: 'sessions.created_at',
    })
}

/** Confirmed addresses: by whom each is held, by the address in small letters. */
export async function emailsAfter(
  db: Knex,
  addresses: readonly string[],
): Promise<Map<string, { email: string; localpart: string }>> {
  const rows = await db('user_emails')
    .join('users', 'users.id', 'user_emails.user_id')
    .whereNotNull('confirmed_at')
    .whereRaw('lower(email) = any(select lower(a) from unnest(?::text[]) a)', [[...addresses]])
    .select<{ email: string; localpart: string }[]>('email', 'localpart')
  return new Map(rows.map((row) => [row.email.toLowerCase(), row]))
}
