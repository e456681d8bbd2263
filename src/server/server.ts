import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { loadBranding } from '../branding/load.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import { createHomeserver } from '../homeserver/client.ts'
import { exchange } from '../homeserver/exchange.ts'
import { homeserverJobHandlers } from '../homeserver/job-handlers.ts'
import { createNoHomeserver } from '../homeserver/no-homeserver.ts'
import { deleteUnclaimedDevices } from '../homeserver/unclaimed-devices.ts'
import { createJobs } from '../jobs/jobs.ts'
import { loadSecrets } from '../keys/index.ts'
import { syncConfiguredClients } from '../oauth/clients/configured-clients.ts'
import { createPolicy } from '../policy/policy.ts'
import { holdServerLock, openDatabase } from '../storage/connection.ts'
import { migrate } from '../storage/migrate.ts'
import { answerServerRequests } from '../storage/server-requests.ts'
import { traceStatements } from '../telemetry/spans/database.ts'
import { traceHomeserver } from '../telemetry/spans/homeserver.ts'
import { traceJobs } from '../telemetry/spans/work.ts'
import { startTracing } from '../telemetry/start.ts'
import { type App, createApp } from './app.ts'
import { createPeerTrust } from './door/client-address.ts'
import type { InheritedSocket } from './inherited-sockets.ts'
import { type Listening, listen } from './listen.ts'
import { createReloads, type ReloadedPart } from './reload.ts'

const FLUSH_MS = 5000
const KEYS_REFRESH_MS = 60_000
/** How long a stop waits for the last traces: what the drain left of its time, between these two. */
const LEAST_FLUSH_MS = 1000
const MOST_FLUSH_MS = 3000

export interface RunningServer {
  app: App
  /** Where it listens, as URLs. */
  listening: string[]
  /** Stops accepting, lets requests finish, writes what is in memory. */
  close(): Promise<void>
  /** Takes up changes of what can change without a restart; what is wrong is logged and told, and stays as it was. */
  reload(): Promise<ReloadedPart[]>
}

export interface ServerDeps {
  log: Logger
  clock: Clock
  /** Reads the configuration anew, for a reload. */
  readConfig: () => Promise<Config>
  /** Sockets that systemd opened. */
  inherited?: InheritedSocket[]
}

/**
 * Starts the whole service: database, migrations, jobs, pages and endpoints.
 * @throws ConfigError, PolicyError, BrandingError, KeyError, StorageError or ListenError, each of which says what to do
 */
export async function startServer(
  config: Config,
  { log, clock, readConfig, inherited = [] }: ServerDeps,
): Promise<RunningServer> {
  const secrets = await loadSecrets(config, clock)
  const policy = await createPolicy(config.policies, log)
  const branding = await loadBranding(config.branding, config.matrix.server_name)
  const tracing = await startTracing(config, log)
  const database = await openDatabase(config, { log, onConnection: tracing && traceStatements(tracing) })
  const closing: (() => Promise<unknown>)[] = [() => database.close()]
  const close = async () => {
    const begun = performance.now()
    // Last of all, because everything else may still be traced, and within what the drain left of its time.
    const left = () => config.http.drain_limit * 1000 - (performance.now() - begun)
    closing.unshift(async () => tracing?.close(Math.min(Math.max(left(), LEAST_FLUSH_MS), MOST_FLUSH_MS)))
    for (const step of closing.splice(0).reverse())
      await step().catch((err) => log.error({ err }, 'stop.failed'))
  }
  try {
    await holdServerLock(database)
    await migrate(database.knex)
    const jobs = createJobs({ database, log })
    await jobs.prepare()
    await syncConfiguredClients(database.knex, config.clients, clock)

    const { endpoint, secret, request_timeout: timeoutSeconds } = config.matrix
    const homeserver =
      endpoint && secret
        ? createHomeserver({
            endpoint,
            secret,
            timeoutSeconds,
            ...(tracing ? { exchange: traceHomeserver(exchange, tracing) } : {}),
          })
        : createNoHomeserver()
    const reloads = createReloads({ config, readConfig, log })
    reloads.register('log level', async (fresh) => () => {
      log.level = fresh.log.level
    })
    reloads.register('policies', (fresh) => policy.prepareReload(fresh.policies))
    const app = await createApp({
      config,
      secrets,
      database,
      homeserver,
      jobs,
      clock,
      log,
      reloads,
      policy,
      branding,
      tracing,
    })
    closing.push(() => app.close())
    let flushed = Promise.resolve()
    const flushing = setInterval(() => {
      flushed = flushed.then(() => app.activity.flush(delay))
    }, FLUSH_MS)
    closing.push(async () => {
      clearInterval(flushing)
      await flushed
      await app.activity.flush()
    })
    // Keys change their stage with time, and other replicas' operators put new ones into the shared folder.
    const refreshing = setInterval(() => void reloads.refresh('signing keys'), KEYS_REFRESH_MS)
    closing.push(async () => clearInterval(refreshing))
    const handlers = {
      ...homeserverJobHandlers({ knex: database.knex, homeserver, clock, log }),
      'devices.unclaimed': () => deleteUnclaimedDevices({ knex: database.knex, jobs, clock }),
      ...app.jobHandlers,
      cleanup: app.cleanUp,
    }
    await jobs.work(tracing ? traceJobs(handlers, tracing) : handlers)
    closing.push(() => jobs.close())

    const listeners: Listening[] = []
    closing.push(() => Promise.all(listeners.map((one) => one.close(config.http.drain_limit * 1000))))
    const isTrusted = createPeerTrust({ trustedProxies: config.http.trusted_proxies })
    for (const entry of config.http.listeners)
      listeners.push(...(await listen(entry, { handler: app.handler, isTrusted, inherited })))
    const { host, port } = config.metrics
    if (port !== undefined) {
      const trusting = { handler: app.metricsHandler, isTrusted, inherited: [] }
      listeners.push(...(await listen({ host, port }, trusting)))
    }
    // Last of all, so that nobody reloads what is only half there.
    const answering = await answerServerRequests(database.clientConfig, { log, reload: reloads.reload })
    closing.push(() => answering.close())
    const listening = listeners.map(({ where }) => where)
    return { app, listening, close, reload: reloads.reload }
  } catch (error) {
    await close()
    throw error
  }
}
