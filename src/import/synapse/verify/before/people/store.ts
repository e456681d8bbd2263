import type { SynapseSource } from '../../../source/source.ts'
import type { HasColumn } from '../../../source/store.ts'

/** A user as Synapse has it. */
export interface UserBefore {
  userId: string
  passwordHash: string | undefined
  admin: boolean
  locked: boolean
  deactivated: boolean
  guest: boolean
  /** False only where an administrator has still to approve the account. */
  approved: boolean
}

export interface DeviceBefore {
  userId: string
  deviceId: string
  name: string | undefined
}

export interface EmailBefore {
  userId: string
  address: string
}

export type Row = Record<string, string | null>

/** '1' where a flag of `users u` is set; older schemas lack some of them. */
export const flag = (has: HasColumn, column: string) =>
  has('users', column) ? `case when cast(u.${column} as integer) <> 0 then '1' else '0' end` : `'0'`

/** The columns of `users u` that `toUser` reads. */
export const userColumns = (has: HasColumn) => `
  u.name as user_name, u.password_hash as password_hash,
  ${['admin', 'locked', 'deactivated', 'is_guest'].map((column) => `${flag(has, column)} as ${column}`).join(', ')},
  ${has('users', 'approved') ? `case when cast(u.approved as integer) = 0 then '0' else '1' end` : `'1'`} as approved`

/** The user of a row; undefined where an outer join found none. */
export function toUser(row: Row): UserBefore | undefined {
  if (row.user_name === null || row.user_name === undefined) return undefined
  return {
    userId: row.user_name,
    passwordHash: row.password_hash || undefined,
    admin: row.admin === '1',
    locked: row.locked === '1',
    deactivated: row.deactivated === '1',
    guest: row.is_guest === '1',
    approved: row.approved !== '0',
  }
}

/** Some users at random, and some of each kind that is easily forgotten. */
export async function sampleUsers(source: SynapseSource, count: number): Promise<UserBefore[]> {
  const kinds = ['admin', 'locked', 'deactivated', 'is_guest']
  const found = new Map<string, UserBefore>()
  for (const kind of ['', ...kinds]) {
    const rows = await source.query<Row>((has) => {
      const where = kind ? `where ${flag(has, kind)} = '1'` : ''
      return `select ${userColumns(has)} from users u ${where} order by random() limit ${count}`
    })
    for (const user of rows.map(toUser)) if (user) found.set(user.userId, user)
  }
  return [...found.values()]
}

/** The condition that leaves cross-signing keys out of `devices d`. */
export const visible = (has: HasColumn) =>
  has('devices', 'hidden') ? 'and coalesce(cast(d.hidden as integer), 0) = 0' : ''

/** All devices of some users, without cross-signing keys. */
export async function devicesOf(source: SynapseSource, userIds: readonly string[]): Promise<DeviceBefore[]> {
  if (userIds.length === 0) return []
  const rows = await source.query<Row>(
    (has) => `select d.user_id as user_id, d.device_id as device_id, d.display_name as name from devices d
               where d.user_id in (${places(userIds)}) ${visible(has)}`,
    userIds,
  )
  return rows.map((row) => ({
    userId: String(row.user_id),
    deviceId: String(row.device_id),
    name: row.name || undefined,
  }))
}

/** Some e-mail addresses, with every one that differs from one of them in capital letters only. */
export async function sampleEmails(source: SynapseSource, count: number): Promise<EmailBefore[]> {
  const some = await source.query<Row>(
    () => `select address from user_threepids where medium = 'email' order by random() limit ${count}`,
  )
  if (some.length === 0) return []
  const addresses = some.map(({ address }) => String(address))
  const rows = await source.query<Row>(
    () => `select user_id, address from user_threepids
            where medium = 'email' and lower(address) in (select lower(a.address) from user_threepids a where a.address in (${places(addresses)}))`,
    addresses,
  )
  return rows.map((row) => ({ userId: String(row.user_id), address: String(row.address) }))
}

/** "$1, $2, …" for so many values. */
export function places(values: readonly string[]): string {
  return values.map((_, index) => `$${index + 1}`).join(', ')
}
