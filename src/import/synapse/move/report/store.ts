import type { Client } from 'pg'

/** What becomes of the rows of one of Synapse's tables. */
export interface TableCounts {
  read: number
  moved: number
  /** Here already, from an earlier run for example. */
  known: number
  setAside: number
}

export interface SetAside {
  table: string
  reason: string
  count: number
  /** The first keys. */
  examples: string[]
}

/** Kinds of users that operators ask about. */
export interface UserKinds {
  withPassword: number
  withoutPassword: number
  admins: number
  locked: number
  suspended: number
  deactivated: number
  guests: number
  appservice: number
  shadowBanned: number
}

const TABLES: Record<string, { moved: string[]; condition: string; known: string }> = {
  users: { moved: ['moved_users'], condition: 'true', known: 'existed' },
  user_threepids: {
    moved: ['moved_emails', 'moved_identifiers'],
    condition: 'problem is null',
    known: 'known',
  },
  user_external_ids: { moved: ['moved_links'], condition: 'problem is null', known: 'known' },
  devices: { moved: ['moved_devices'], condition: 'true', known: 'known' },
  access_tokens: { moved: ['moved_access'], condition: 'problem is null', known: 'known' },
  refresh_tokens: { moved: ['moved_refresh'], condition: 'problem is null', known: 'known' },
}

/** Counts by Synapse's table, once everything is decided. */
export async function countRows(client: Client): Promise<Record<string, TableCounts>> {
  const counts: Record<string, TableCounts> = {}
  for (const [name, { moved, condition, known }] of Object.entries(TABLES)) {
    const good = moved
      .map((table) => `select ${known} as known from ${table} where ${condition}`)
      .join(' union all ')
    const hidden = name === 'devices' ? 'where hidden is not true' : ''
    const { rows } = await client.query<Record<keyof TableCounts, number>>(
      `select (select count(*) from synapse_${name} ${hidden})::int as read,
              count(*) filter (where not known)::int as moved, count(*) filter (where known)::int as known
         from (${good}) as good`,
    )
    const { read = 0, moved: fresh = 0, known: old = 0 } = rows[0] ?? {}
    counts[name] = { read, moved: fresh, known: old, setAside: read - fresh - old }
  }
  return counts
}

const EXAMPLES = 5

/** What is set aside, by table and reason, the most frequent first. */
export async function listSetAside(client: Client): Promise<SetAside[]> {
  const { rows } = await client.query<SetAside>(
    `select synapse_table as "table", reason, count(*)::int as count,
            (array_agg(key order by key))[1:${EXAMPLES}] as examples
       from set_aside group by 1, 2 order by count(*) desc, 1, 2`,
  )
  return rows
}

export async function countUserKinds(client: Client): Promise<UserKinds> {
  const { rows } = await client.query<UserKinds>(
    `select count(*) filter (where password_hash is not null and not deactivated)::int as "withPassword",
            count(*) filter (where password_hash is null and not deactivated)::int as "withoutPassword",
            count(*) filter (where admin)::int as admins, count(*) filter (where locked)::int as locked,
            count(*) filter (where suspended)::int as suspended,
            count(*) filter (where deactivated)::int as deactivated, count(*) filter (where guest)::int as guests,
            count(*) filter (where appservice_id is not null)::int as appservice,
            count(*) filter (where shadow_banned)::int as "shadowBanned"
       from moved_users`,
  )
  return rows[0]!
}

/** Keeps what was done: the report of the last import takes the place of the one before. */
export async function writeReport(
  client: Client,
  report: {
    id: string
    serverName: string
    startedAt: Date
    finishedAt: Date
    counts: Record<string, TableCounts>
  },
): Promise<void> {
  const { id, serverName, startedAt, finishedAt, counts } = report
  await client.query(
    'insert into imports (id, server_name, started_at, finished_at, counts) values ($1, $2, $3, $4, $5)',
    [id, serverName, startedAt, finishedAt, JSON.stringify(counts)],
  )
  await client.query('delete from import_set_aside')
  await client.query('insert into import_set_aside select * from set_aside')
}

/** About how many rows are here already. */
export async function countHere(client: Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    'select ((select count(*) from users) + (select count(*) from sessions) + (select count(*) from tokens))::int as count',
  )
  return rows[0]?.count ?? 0
}
