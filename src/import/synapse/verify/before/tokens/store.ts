import type { SynapseSource } from '../../../source/source.ts'
import type { HasColumn } from '../../../source/store.ts'
import { flag, places, type Row, toUser, type UserBefore, userColumns, visible } from '../people/store.ts'

/** A token as Synapse has it, and what it depends on. */
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

/** Kinds of access tokens that are easily forgotten, besides those that chance brings. */
const KINDS: ((has: HasColumn) => string)[] = [
  () => '',
  () => 'where t.device_id is null',
  (has) => (has('access_tokens', 'valid_until_ms') ? 'where t.valid_until_ms is not null' : ''),
  ...['admin', 'locked', 'deactivated'].map((kind) => (has: HasColumn) => `where ${flag(has, kind)} = '1'`),
]

/** Some tokens at random, and some of each kind. */
export async function sampleTokens(source: SynapseSource, count: number): Promise<TokenBefore[]> {
  const found = new Map<string, TokenBefore>()
  for (const kind of KINDS) {
    const rows = await source.query<Row>((has) => select('access_tokens', kind(has), count, has))
    for (const row of rows) found.set(String(row.token), toToken(row, 'access'))
  }
  const refresh = await source.query<Row>((has) => select('refresh_tokens', '', count, has))
  for (const row of refresh) found.set(String(row.token), toToken(row, 'refresh'))
  const tokens = [...found.values()]
  const ends = await sessionEnds(source, [...new Set(tokens.map(({ userId }) => userId))])
  return tokens.map((token) => ({ ...token, sessionEndsAt: ends.get(`${token.deviceId} ${token.userId}`) }))
}

/** The sample is taken first, so that nothing is looked up for rows that are not in it. */
function select(
  table: 'access_tokens' | 'refresh_tokens',
  where: string,
  count: number,
  has: HasColumn,
): string {
  if (!has(table, 'token')) return 'select 1 where 1 = 0'
  const value = (column: string) => (has(table, column) ? `cast(t.${column} as text)` : 'cast(null as text)')
  return `
    select cast(t.id as text) as id, t.token as token, t.user_id as user_id, t.device_id as device_id,
           ${value(table === 'access_tokens' ? 'valid_until_ms' : 'expiry_ts')} as expires_at,
           ${value('puppets_user_id')} as puppet, ${value('next_token_id')} as next,
           case when exists (
             select 1 from devices d where d.user_id = t.user_id and d.device_id = t.device_id ${visible(has)}
           ) then '1' else '0' end as device_exists, ${userColumns(has)}
      from ${table} t left join users u on u.name = t.user_id
     where t.id in (
       select t.id from ${table} t left join users u on u.name = t.user_id ${where} order by random() limit ${count}
     )`
}

/** When the sessions of these users end at the latest, by "device user". */
async function sessionEnds(source: SynapseSource, userIds: readonly string[]): Promise<Map<string, number>> {
  if (userIds.length === 0 || source.missing.includes('refresh_tokens.ultimate_session_expiry_ts'))
    return new Map()
  const rows = await source.query<Row>(
    () => `select user_id, device_id, cast(max(ultimate_session_expiry_ts) as text) as ends_at from refresh_tokens
            where ultimate_session_expiry_ts is not null and user_id in (${places(userIds)})
            group by user_id, device_id`,
    userIds,
  )
  return new Map(rows.map((row) => [`${row.device_id} ${row.user_id}`, Number(row.ends_at)]))
}

function toToken(row: Row, kind: 'access' | 'refresh'): TokenBefore {
  return {
    kind,
    id: String(row.id),
    token: String(row.token),
    userId: String(row.user_id),
    deviceId: row.device_id ?? undefined,
    expiresAt: row.expires_at === null ? undefined : Number(row.expires_at),
    sessionEndsAt: undefined,
    exchanged: row.next !== null,
    puppet: row.puppet !== null,
    deviceExists: row.device_exists === '1',
    user: toUser(row),
  }
}
