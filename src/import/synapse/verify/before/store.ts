import type { SynapseSource } from '../../source/source.ts'
import type { HasColumn } from '../../source/store.ts'

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

export interface TokenBefore {
  kind: 'access' | 'refresh'
  id: string
  token: string
  userId: string
  deviceId: string | undefined
  /** Milliseconds since 1970; undefined where it does not run out. */
  expiresAt: number | undefined
  /** The end of the session that it belongs to. */
  sessionEndsAt: number | undefined
  /** It was exchanged for another one. */
  exchanged: boolean
  /** An administrator made it to act as the user. */
  puppet: boolean
  deviceExists: boolean
  user: UserBefore | undefined
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

type Row = Record<string, string | null>

const flag = (has: HasColumn, column: string) =>
  has('users', column) ? `case when cast(u.${column} as integer) <> 0 then '1' else '0' end` : `'0'`

const userColumns = (has: HasColumn) => `
  u.name as user_name, u.password_hash as password_hash,
  ${['admin', 'locked', 'deactivated', 'is_guest'].map((column) => `${flag(has, column)} as ${column}`).join(', ')},
  ${has('users', 'approved') ? `case when cast(u.approved as integer) = 0 then '0' else '1' end` : `'1'`} as approved`

function toUser(row: Row): UserBefore | undefined {
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

/** Some tokens at random, and some of each kind that is easily forgotten. */
export async function sampleTokens(source: SynapseSource, count: number): Promise<TokenBefore[]> {
  const found = new Map<string, TokenBefore>()
  for (const where of [
    '',
    't.device_id is null',
    't.valid_until_ms is not null',
    'admin',
    'locked',
    'deactivated',
  ]) {
    const rows = await source.query<Row>((has) => accessTokens(has, where, count))
    for (const row of rows) found.set(String(row.token), toToken(row, 'access'))
  }
  const refresh = await source.query<Row>((has) => refreshTokens(has, count))
  for (const row of refresh) found.set(String(row.token), toToken(row, 'refresh'))
  return [...found.values()]
}

function accessTokens(has: HasColumn, kind: string, count: number): string {
  const value = (column: string) =>
    has('access_tokens', column) ? `cast(t.${column} as text)` : 'cast(null as text)'
  const expiry = has('access_tokens', 'valid_until_ms')
  const condition = ['admin', 'locked', 'deactivated'].includes(kind) ? `${flag(has, kind)} = '1'` : kind
  const where =
    condition === '' || (!expiry && condition.includes('valid_until_ms')) ? '' : `where ${condition}`
  return `
    select cast(t.id as text) as id, t.token as token, t.user_id as user_id, t.device_id as device_id,
           ${value('valid_until_ms')} as expires_at, ${value('puppets_user_id')} as puppet, cast(null as text) as next,
           ${sessionEnd(has)} as session_ends_at, ${deviceExists(has)} as device_exists, ${userColumns(has)}
      from access_tokens t left join users u on u.name = t.user_id
      ${where} order by random() limit ${count}`
}

function refreshTokens(has: HasColumn, count: number): string {
  if (!has('refresh_tokens', 'token')) return 'select 1 where false'
  const value = (column: string) =>
    has('refresh_tokens', column) ? `cast(t.${column} as text)` : 'cast(null as text)'
  return `
    select cast(t.id as text) as id, t.token as token, t.user_id as user_id, t.device_id as device_id,
           ${value('expiry_ts')} as expires_at, cast(null as text) as puppet, ${value('next_token_id')} as next,
           ${sessionEnd(has)} as session_ends_at, ${deviceExists(has)} as device_exists, ${userColumns(has)}
      from refresh_tokens t left join users u on u.name = t.user_id
      order by random() limit ${count}`
}

const sessionEnd = (has: HasColumn) =>
  has('refresh_tokens', 'ultimate_session_expiry_ts')
    ? `(select cast(max(s.ultimate_session_expiry_ts) as text) from refresh_tokens s
         where s.user_id = t.user_id and s.device_id = t.device_id)`
    : 'cast(null as text)'

const visible = (has: HasColumn) =>
  has('devices', 'hidden') ? 'and coalesce(cast(d.hidden as integer), 0) = 0' : ''

const deviceExists = (has: HasColumn) => `case when exists (
    select 1 from devices d where d.user_id = t.user_id and d.device_id = t.device_id ${visible(has)}
  ) then '1' else '0' end`

function toToken(row: Row, kind: 'access' | 'refresh'): TokenBefore {
  const time = (value: string | null | undefined) =>
    value === null || value === undefined ? undefined : Number(value)
  return {
    kind,
    id: String(row.id),
    token: String(row.token),
    userId: String(row.user_id),
    deviceId: row.device_id ?? undefined,
    expiresAt: time(row.expires_at),
    sessionEndsAt: time(row.session_ends_at),
    exchanged: row.next !== null,
    puppet: row.puppet !== null,
    deviceExists: row.device_exists === '1',
    user: toUser(row),
  }
}

/** All devices of some users, without cross-signing keys. */
export async function devicesOf(source: SynapseSource, userIds: readonly string[]): Promise<DeviceBefore[]> {
  if (userIds.length === 0) return []
  const rows = await source.query<Row>(
    (has) => `select d.user_id as user_id, d.device_id as device_id, d.display_name as name from devices d
               where d.user_id in (${userIds.map(quoted).join(', ')}) ${visible(has)}`,
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
  const addresses = some.map(({ address }) => `lower(${quoted(String(address))})`)
  const rows = await source.query<Row>(
    () => `select user_id, address from user_threepids
            where medium = 'email' and lower(address) in (${addresses.join(', ')})`,
  )
  return rows.map((row) => ({ userId: String(row.user_id), address: String(row.address) }))
}

/** A text in SQL. Both engines end one only at a single quote; PostgreSQL takes no NUL. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll('\0', '')}'`
}
