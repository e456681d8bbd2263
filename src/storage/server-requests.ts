import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Log } from './log.ts'

/** How a server's listening connection is known among the others. */
const APPLICATION_NAME = 'postern server'
const REQUESTS = 'postern_requests'
const ANSWERS = 'postern_answers'

/** Characters of all faults together: PostgreSQL takes no notice of 8000 bytes and more. */
const ROOM_FOR_FAULTS = 1500
const RECONNECT_MS = 1_000

/** What a server says about one part that it was asked to reload. */
export interface AnsweredPart {
  part: string
  fault?: string
}

function onNotice(client: pg.Client, channel: string, take: (message: unknown) => void): void {
  client.on('notification', (notice) => {
    if (notice.channel === channel && notice.payload) take(JSON.parse(notice.payload))
  })
}

function fitting(parts: AnsweredPart[]): AnsweredPart[] {
  const faults = parts.filter(({ fault }) => fault !== undefined).length
  const room = Math.floor(ROOM_FOR_FAULTS / faults)
  return parts.map(({ part, fault }) =>
    fault === undefined ? { part } : { part, fault: fault.slice(0, room) },
  )
}

/**
 * Lets commands on any machine reach this server through the database that both have open. Only who may connect to
 * the database can ask, and only for what does no harm. A connection that breaks is made again.
 */
export async function answerServerRequests(
  clientConfig: pg.ClientConfig,
  { log, reload }: { log: Log; reload: () => Promise<AnsweredPart[]> },
): Promise<{ close(): Promise<void> }> {
  const closing = new AbortController()
  let current: pg.Client | undefined

  async function connect(): Promise<void> {
    const client = new pg.Client({ ...clientConfig, application_name: APPLICATION_NAME })
    client.on('error', () => undefined)
    onNotice(client, REQUESTS, async (request) => {
      const parts = fitting(await reload())
      const answer = JSON.stringify({ id: (request as { id: string }).id, parts })
      await client.query('select pg_notify($1, $2)', [ANSWERS, answer]).catch((err) => {
        log.warn({ err }, 'server_requests.answer_lost')
      })
    })
    await client.connect()
    await client.query(`listen ${REQUESTS}`)
    client.once('end', () => {
      if (!closing.signal.aborted) void reconnect()
    })
    current = client
  }

  async function reconnect(): Promise<void> {
    while (!closing.signal.aborted) {
      await delay(RECONNECT_MS, undefined, { signal: closing.signal }).catch(() => undefined)
      if (closing.signal.aborted) return
      try {
        return await connect()
      } catch (err) {
        log.warn({ err }, 'server_requests.not_back')
      }
    }
  }

  await connect()
  return {
    async close() {
      closing.abort()
      await current?.end().catch(() => undefined)
    },
  }
}

/** Whether a server runs on a database now. */
export async function hasServers(clientConfig: pg.ClientConfig): Promise<boolean> {
  const client = new pg.Client(clientConfig)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await countServers(client)) > 0
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function countServers(client: Pick<pg.Client, 'query'>): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::integer as count from pg_stat_activity where datname = current_database() and application_name = $1',
    [APPLICATION_NAME],
  )
  return rows[0]?.count ?? 0
}

/** What the servers on a database said, and how many of them said nothing in time. */
export interface ServerAnswers {
  servers: AnsweredPart[][]
  silent: number
}

/** Asks every running server of a database to reload, and waits for their answers. */
export async function askServersToReload(
  clientConfig: pg.ClientConfig,
  { timeoutMs }: { timeoutMs: number },
): Promise<ServerAnswers> {
  const client = new pg.Client(clientConfig)
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query(`listen ${ANSWERS}`)
    const expected = await countServers(client)
    const id = randomUUID()
    const servers: AnsweredPart[][] = []
    const all = new Promise<void>((resolve) => {
      onNotice(client, ANSWERS, (answer) => {
        const { id: answered, parts } = answer as { id: string; parts: AnsweredPart[] }
        if (answered === id) servers.push(parts)
        if (servers.length >= expected) resolve()
      })
      if (expected === 0) resolve()
    })
    await client.query('select pg_notify($1, $2)', [REQUESTS, JSON.stringify({ id })])
    const patience = new AbortController()
    await Promise.race([all, delay(timeoutMs, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
    return { servers, silent: Math.max(0, expected - servers.length) }
  } finally {
    await client.end().catch(() => undefined)
  }
}
