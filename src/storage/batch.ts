import { Client, type ClientConfig } from 'pg'
import type { Logger } from 'pino'
import { UnavailableError } from '../errors.ts'
import { outsideScopes } from '../telemetry/scope.ts'
import type { AroundBatch } from '../telemetry/spans/work.ts'
import type { OpenSpan } from '../telemetry/tracing.ts'
import { createGathering } from './gathering.ts'

const CONNECTIONS = 2
const MAX_WAITING = 20_000
const QUERY_TIMEOUT_MS = 4000
const CONNECT_TIMEOUT_MS = 3000

interface Waiting<Item, Result> {
  item: Item
  resolve: (result: Result | undefined) => void
  reject: (error: Error) => void
  /** Of the request that asks, where it is traced. */
  span: OpenSpan | undefined
}

/** A connection of the batch's own: null while it is (re)connecting. */
interface Lane {
  client: Client | null
  busy: boolean
}

export interface BatchDeps<Item, Result> {
  /** What it is called in the log. */
  name: string
  clientConfig: ClientConfig
  log: Logger
  /** The most items of one query. */
  most: number
  /** Answers items with one query, in their order. */
  query: (client: Client, items: Item[]) => Promise<(Result | undefined)[]>
  /** Told of every query: how many items it had, and how many seconds it took. */
  observe?: ((size: number, seconds: number) => void) | undefined
  /** Where tracing is on: the span of whoever asks, and what goes around a query. */
  tracing?: { present: () => OpenSpan | undefined; around: AroundBatch } | undefined
}

/**
 * Makes one query of many requests that come at the same time: a batch is everything that arrived while the previous query
 * ran. What is asked never joins a query that was already sent, so that it sees all that was committed before it was asked
 * (invariant 5).
 */
export function createBatch<Item, Result>(deps: BatchDeps<Item, Result>) {
  const { name, clientConfig, log, most, query, observe, tracing } = deps
  const waiting: Waiting<Item, Result>[] = []
  const lanes: Lane[] = Array.from({ length: CONNECTIONS }, () => ({ client: null, busy: false }))
  const gather = createGathering(() => waiting.length, dispatch)
  let closed = false
  let away = false

  /** Said once, and not with each of the requests that cannot be answered meanwhile. */
  function noteDatabase(answers: boolean, error?: unknown): void {
    if (answers === !away) return
    away = !answers
    outsideScopes(() => {
      if (away) log.warn({ err: error, batch: name }, 'batch.database_away')
      else log.info({ batch: name }, 'batch.database_back')
    })
  }

  async function connect(lane: Lane): Promise<Client> {
    if (lane.client) return lane.client
    const client = new Client({
      ...clientConfig,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    })
    client.on('error', (error) => {
      outsideScopes(() => log.warn({ err: error, batch: name }, 'batch.connection_lost'))
      if (lane.client === client) lane.client = null
    })
    await client.connect()
    await planOnceByIndexes(client)
    lane.client = client
    return client
  }

  async function run(lane: Lane, batch: Waiting<Item, Result>[]): Promise<void> {
    lane.busy = true
    try {
      const client = await connect(lane)
      const started = performance.now()
      const items = batch.map(({ item }) => item)
      const results = tracing
        ? await tracing.around(spansOf(batch), batch.length, () => query(client, items))
        : await query(client, items)
      noteDatabase(true)
      observe?.(batch.length, (performance.now() - started) / 1000)
      for (const [n, one] of batch.entries()) one.resolve(results[n])
    } catch (error) {
      noteDatabase(false, error)
      // After a timeout or a broken connection its state is unknown: use a new one for the next batch.
      lane.client?.end().catch(() => {})
      lane.client = null
      const unavailable = new UnavailableError('The database cannot be reached', {
        retryAfterSeconds: 5,
        cause: error,
      })
      for (const one of batch) one.reject(unavailable)
    }
    lane.busy = false
    gather()
  }

  function dispatch(): void {
    const lane = lanes.find((one) => !one.busy)
    // Where there is none, the first that comes free takes them.
    if (!lane || waiting.length === 0) return
    void run(lane, waiting.splice(0, most))
    gather()
  }

  /**
   * What the database says of this item after this call; undefined where it has nothing to say.
   * @throws UnavailableError when the database is away or too many wait
   */
  function ask(item: Item): Promise<Result | undefined> {
    if (closed || waiting.length >= MAX_WAITING) {
      return Promise.reject(new UnavailableError('Too many requests at once', { retryAfterSeconds: 1 }))
    }
    return new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject, span: tracing?.present() })
      gather()
    })
  }

  async function close(): Promise<void> {
    closed = true
    for (const one of waiting.splice(0)) one.reject(new UnavailableError('The service is stopping'))
    await Promise.all(lanes.map((lane) => lane.client?.end().catch(() => {})))
  }

  return { ask, close }
}

function spansOf<Item, Result>(batch: readonly Waiting<Item, Result>[]): OpenSpan[] {
  return batch.flatMap(({ span }) => span ?? [])
}

/**
 * Makes PostgreSQL plan the statement of a batch once, by the indexes: it would plan it anew for small batches, which costs
 * more than running it, or read a whole table that was small when it planned.
 */
async function planOnceByIndexes(client: Client): Promise<void> {
  await client.query(
    'set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off',
  )
}
