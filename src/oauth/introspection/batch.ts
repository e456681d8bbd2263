import { Client, type ClientConfig } from 'pg'
import type { Logger } from 'pino'
import { UnavailableError } from '../../errors.ts'
import { outsideScopes } from '../../telemetry/scope.ts'
import type { AroundLookups } from '../../telemetry/spans/work.ts'
import type { OpenSpan } from '../../telemetry/tracing.ts'
import { type IntrospectedToken, lookUpTokens, prepareLookups } from './store.ts'

const MAX_BATCH = 256
const CONNECTIONS = 2
const MAX_WAITING = 20_000
const QUERY_TIMEOUT_MS = 4000
const CONNECT_TIMEOUT_MS = 3000

interface Waiting {
  hash: Buffer
  resolve: (token: IntrospectedToken | undefined) => void
  reject: (error: Error) => void
  /** Of the request that asks, where it is traced. */
  span: OpenSpan | undefined
}

/** A connection of the batch's own: null while it is (re)connecting. */
interface Lane {
  client: Client | null
  busy: boolean
}

/**
 * Introspection reads the database every time (invariant 5) and is fast because lookups are batched: a batch is
 * every lookup that arrived while the previous query ran. A lookup never joins a query that was already sent, not
 * even for the same token, or it could miss a revocation that was committed in between.
 */
export function createLookupBatch({
  clientConfig,
  log,
  observe = () => undefined,
  tracing,
}: {
  clientConfig: ClientConfig
  log: Logger
  /** Told of every query: how many lookups it had, and how many seconds it took. */
  observe?: (size: number, seconds: number) => void
  /** Where tracing is on: the span of whoever asks, and what goes around a query. */
  tracing?: { present: () => OpenSpan | undefined; around: AroundLookups } | undefined
}) {
  const waiting: Waiting[] = []
  const lanes: Lane[] = Array.from({ length: CONNECTIONS }, () => ({ client: null, busy: false }))
  let scheduled = false
  let closed = false
  let away = false

  /** Said once, and not with each of the requests that cannot be answered meanwhile. */
  function noteDatabase(answers: boolean, error?: unknown): void {
    if (answers === !away) return
    away = !answers
    outsideScopes(() => {
      if (away) log.warn({ err: error }, 'introspection.database_away')
      else log.info('introspection.database_back')
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
      outsideScopes(() => log.warn({ err: error }, 'introspection.connection_lost'))
      if (lane.client === client) lane.client = null
    })
    await client.connect()
    await prepareLookups(client)
    lane.client = client
    return client
  }

  async function run(lane: Lane): Promise<void> {
    lane.busy = true
    while (waiting.length > 0 && !closed) {
      const batch = waiting.splice(0, MAX_BATCH)
      try {
        const client = await connect(lane)
        const started = performance.now()
        const hashes = batch.map((one) => one.hash)
        const found = tracing
          ? await tracing.around(spansOf(batch), batch.length, () => lookUpTokens(client, hashes))
          : await lookUpTokens(client, hashes)
        noteDatabase(true)
        observe(batch.length, (performance.now() - started) / 1000)
        for (const one of batch) one.resolve(found.get(one.hash.toString('hex')))
      } catch (error) {
        noteDatabase(false, error)
        // After a timeout or a broken connection its state is unknown: use a new one for the next batch.
        lane.client?.end().catch(() => {})
        lane.client = null
        const unavailable = new UnavailableError('The database cannot be reached', {
          retryAfterSeconds: 2,
          cause: error,
        })
        for (const one of batch) one.reject(unavailable)
      }
    }
    lane.busy = false
  }

  function dispatch(): void {
    scheduled = false
    const lane = lanes.find((one) => !one.busy)
    if (lane && waiting.length > 0) void run(lane)
  }

  /**
   * The token with this hash as the database has it after this call, or undefined when there is none.
   * @throws UnavailableError when the database is away or too many lookups wait
   */
  function lookUp(hash: Buffer): Promise<IntrospectedToken | undefined> {
    if (closed || waiting.length >= MAX_WAITING) {
      return Promise.reject(new UnavailableError('Too many lookups at once', { retryAfterSeconds: 1 }))
    }
    return new Promise((resolve, reject) => {
      waiting.push({ hash, resolve, reject, span: tracing?.present() })
      // setImmediate runs after all sockets that are ready now were read: their lookups share the batch.
      if (!scheduled) {
        scheduled = true
        setImmediate(dispatch)
      }
    })
  }

  async function close(): Promise<void> {
    closed = true
    for (const one of waiting.splice(0)) one.reject(new UnavailableError('The service is stopping'))
    await Promise.all(lanes.map((lane) => lane.client?.end().catch(() => {})))
  }

  return { lookUp, close }
}

function spansOf(batch: readonly Waiting[]): OpenSpan[] {
  return batch.flatMap(({ span }) => span ?? [])
}

export type LookupBatch = ReturnType<typeof createLookupBatch>
