import type { Knex } from 'knex'
import { fromUuid, toUuid } from '../ids.ts'
import { queryPrepared } from '../storage/prepared.ts'

/** A localpart of the homeserver that this service speaks for. */
export interface User {
  /** ULID; also the `sub` of OpenID Connect. */
  id: string
  localpart: string
  createdAt: Date
  lockedAt: Date | null
  deactivatedAt: Date | null
  isAdmin: boolean
  /** When the homeserver last confirmed that this user exists there. */
  provisionedAt: Date | null
}

export interface UserRow {
  id: string
  localpart: string
  created_at: Date
  locked_at: Date | null
  deactivated_at: Date | null
  is_admin: boolean
  provisioned_at: Date | null
}

export const USER_COLUMNS = [
  'users.id',
  'users.localpart',
  'users.created_at',
  'users.locked_at',
  'users.deactivated_at',
  'users.is_admin',
  'users.provisioned_at',
] as const

/** A row of `USER_COLUMNS` as the rest of the service knows it. */
export function toUser(row: UserRow): User {
  return {
    id: fromUuid(row.id),
    localpart: row.localpart,
    createdAt: row.created_at,
    lockedAt: row.locked_at,
    deactivatedAt: row.deactivated_at,
    isAdmin: row.is_admin,
    provisionedAt: row.provisioned_at,
  }
}

/** PostgreSQL has no NUL in text and answers one with an error: no user has such a name. */
function mayBeLocalpart(localpart: string): boolean {
  return localpart.length > 0 && localpart.length <= 255 && !localpart.includes('\0')
}

/** The one row that a typed name means: the exact one first, else one that differs only in case. */
function pickByLocalpart<Row extends { localpart: string }>(rows: Row[], localpart: string): Row | undefined {
  return rows.find((row) => row.localpart === localpart) ?? (rows.length === 1 ? rows[0] : undefined)
}

export async function findUserById(db: Knex, id: string): Promise<User | undefined> {
  const row = await db<UserRow>('users').where('id', toUuid(id)).first<UserRow>(USER_COLUMNS)
  return row && toUser(row)
}

/**
 * The user of a localpart: an exact match, else one that differs only in case where there is exactly one, as
 * Synapse's own login did (imported users may have capital letters).
 */
export async function findUserByLocalpart(db: Knex, localpart: string): Promise<User | undefined> {
  if (!mayBeLocalpart(localpart)) return undefined
  const rows = await db('users')
    .whereRaw('lower(localpart) = lower(?)', [localpart])
    .select<UserRow[]>(USER_COLUMNS)
  const row = pickByLocalpart(rows, localpart)
  return row && toUser(row)
}

/** As `findUserByLocalpart`, with the password's hash in the same query: whether there is one must not take time. */
export async function findCredentials(
  db: Knex,
  localpart: string,
): Promise<{ user: User; hash: string | undefined } | undefined> {
  if (!mayBeLocalpart(localpart)) return undefined
  const rows = await queryPrepared<UserRow & { hash: string | null }>(
    db,
    'find-credentials',
    `select ${USER_COLUMNS}, p.hash from users left join user_passwords p on p.user_id = users.id
      where lower(users.localpart) = lower($1)`,
    [localpart],
  )
  const row = pickByLocalpart(rows, localpart)
  return row && { user: toUser(row), hash: row.hash ?? undefined }
}

/**
 * The user, with the row locked until the transaction ends: `change` to change it, `share` so that nobody else does.
 * Neither stands in the way of rows that only refer to the user, such as a new session.
 */
export async function lockUserRow(
  trx: Knex,
  id: string,
  strength: 'change' | 'share' = 'change',
): Promise<User | undefined> {
  const query = trx<UserRow>('users').where('id', toUuid(id))
  const row = await (strength === 'change' ? query.forNoKeyUpdate() : query.forShare()).first<UserRow>(
    USER_COLUMNS,
  )
  return row && toUser(row)
}

/** Adds a user. Answers false, and changes nothing, where the localpart is taken. */
export async function insertUser(
  db: Knex,
  user: { id: string; localpart: string; createdAt: Date; isAdmin?: boolean },
): Promise<boolean> {
  const rows = await db('users')
    .insert({
      id: toUuid(user.id),
      localpart: user.localpart,
      created_at: user.createdAt,
      is_admin: user.isAdmin ?? false,
    })
    .onConflict('localpart')
    .ignore()
    .returning('id')
  return rows.length === 1
}

export interface UserChanges {
  isAdmin?: boolean
  lockedAt?: Date | null
  deactivatedAt?: Date | null
  provisionedAt?: Date | null
}

export async function updateUser(db: Knex, id: string, changes: UserChanges): Promise<void> {
  // knex leaves out what is undefined.
  await db('users').where('id', toUuid(id)).update({
    is_admin: changes.isAdmin,
    locked_at: changes.lockedAt,
    deactivated_at: changes.deactivatedAt,
    provisioned_at: changes.provisionedAt,
  })
}

export interface UserFilter {
  admin?: boolean
  locked?: boolean
  deactivated?: boolean
  /** A part of the localpart, in any case. */
  search?: string
  /** Only users after this ID: the last one of the page before. */
  after?: string
  /** How many at most. */
  limit?: number
}

/** A user with what an import noted. */
export interface ListedUser extends User {
  isGuest: boolean
  isSuspended: boolean
  /** The appservice that made this user at the homeserver. */
  appserviceId: string | null
}

const LISTED_COLUMNS = [
  ...USER_COLUMNS,
  'users.is_guest',
  'users.is_suspended',
  'users.appservice_id',
] as const
type ListedRow = UserRow & { is_guest: boolean; is_suspended: boolean; appservice_id: string | null }

/** Users in the order of their IDs, which is the order in which they were made. */
export async function listUsers(db: Knex, filter: UserFilter = {}): Promise<ListedUser[]> {
  const query = db('users').select<ListedRow[]>(LISTED_COLUMNS).orderBy('id')
  if (filter.admin !== undefined) query.where('is_admin', filter.admin)
  if (filter.locked !== undefined) query[filter.locked ? 'whereNotNull' : 'whereNull']('locked_at')
  if (filter.deactivated !== undefined) {
    query[filter.deactivated ? 'whereNotNull' : 'whereNull']('deactivated_at')
  }
  if (filter.search !== undefined) query.whereRaw('strpos(lower(localpart), lower(?)) > 0', [filter.search])
  if (filter.after !== undefined) query.where('id', '>', toUuid(filter.after))
  if (filter.limit !== undefined) query.limit(filter.limit)
  return (await query).map((row) => ({
    ...toUser(row),
    isGuest: row.is_guest,
    isSuspended: row.is_suspended,
    appserviceId: row.appservice_id,
  }))
}

/** Whether anyone may administer this service. */
export async function hasAdmin(db: Knex): Promise<boolean> {
  const row = await db('users').where('is_admin', true).whereNull('deactivated_at').first('id')
  return row !== undefined
}

export async function getPasswordHash(db: Knex, userId: string): Promise<string | undefined> {
  const row = await db('user_passwords').where('user_id', toUuid(userId)).first<{ hash: string }>('hash')
  return row?.hash
}

/** Sets the password's hash, whether there was one or not. */
export async function setPasswordHash(db: Knex, userId: string, hash: string, at: Date): Promise<void> {
  await db('user_passwords')
    .insert({ user_id: toUuid(userId), hash, created_at: at })
    .onConflict('user_id')
    .merge(['hash', 'created_at'])
}

/** Removes what an erased user leaves behind here: the password and the e-mail addresses. */
export async function deletePersonalData(trx: Knex, userId: string): Promise<void> {
  await trx('user_passwords').where('user_id', toUuid(userId)).delete()
  await trx('user_emails').where('user_id', toUuid(userId)).delete()
}

/**
 * Holds user and password as they were checked until the transaction ends, and puts the upgraded hash in its place where
 * there is one. Undefined where the password was changed since it was read.
 */
export async function holdCredentials(
  trx: Knex,
  userId: string,
  checked: string,
  upgraded: string | undefined,
): Promise<User | undefined> {
  const [row] = await queryPrepared<UserRow>(
    trx,
    'hold-credentials',
    `select ${USER_COLUMNS} from users join user_passwords p on p.user_id = users.id
      where users.id = $1 and p.hash = $2 for share of users for update of p`,
    [toUuid(userId), checked],
  )
  if (row && upgraded !== undefined) {
    await trx('user_passwords').where('user_id', toUuid(userId)).update({ hash: upgraded })
  }
  return row && toUser(row)
}

/** The highest cost of the imported bcrypt hashes that are still stored; an index answers it at once. */
export async function highestBcryptCost(db: Knex): Promise<number | undefined> {
  const row = await db('user_passwords')
    .whereRaw("hash like '$2%'")
    .orderByRaw('substr(hash, 5, 2) desc')
    .first<{ cost: string }>(db.raw('substr(hash, 5, 2) as cost'))
  const cost = Number(row?.cost)
  return Number.isInteger(cost) ? cost : undefined
}

/** The user's confirmed address, the oldest where there are several. */
export async function findConfirmedEmail(db: Knex, userId: string): Promise<string | undefined> {
  const row = await db('user_emails')
    .where('user_id', toUuid(userId))
    .whereNotNull('confirmed_at')
    .orderBy('created_at')
    .first('email')
  return row?.email
}

/** The localpart of the user whose confirmed address this is, in any case (check 67: never an unconfirmed one). */
export async function findLocalpartByEmail(db: Knex, email: string): Promise<string | undefined> {
  const row = await db('user_emails')
    .join('users', 'users.id', 'user_emails.user_id')
    .whereRaw('lower(user_emails.email) = lower(?)', [email])
    .whereNotNull('user_emails.confirmed_at')
    .first<{ localpart: string }>('users.localpart')
  return row?.localpart
}
