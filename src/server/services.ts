import type { Logger } from 'pino'
import { createAppservices } from '../appservices/appservices.ts'
import { createFindAppserviceUser } from '../appservices/find-user.ts'
import { loadBranding } from '../branding/load.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import type { Homeserver } from '../homeserver/client.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Secrets } from '../keys/index.ts'
import { createLimits } from '../limits/limits.ts'
import { createRequestFacts } from '../oauth/grants/request-facts.ts'
import { createActivity } from '../oauth/introspection/activity.ts'
import { createLookupBatch } from '../oauth/introspection/batch.ts'
import { createIntrospector } from '../oauth/introspection/introspector.ts'
import { createPolicyGate } from '../policy/gate.ts'
import type { Policy } from '../policy/policy.ts'
import { createBrowserSessions } from '../sessions/browser/browser-sessions.ts'
import { createFirstAdmin } from '../setup/first-admin.ts'
import { createBrowser } from '../signin/browser.ts'
import { createRequireSignIn } from '../signin/login-routes.ts'
import { createPasswordCheck } from '../signin/password-check.ts'
import { createPasswordSignIn } from '../signin/password-sign-in.ts'
import { createSignInForm } from '../signin/sign-in-form.ts'
import type { Database } from '../storage/connection.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { presentScope } from '../telemetry/scope.ts'
import { traceBatch, tracePasswords } from '../telemetry/spans/work.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { createRefresh } from '../tokens/refresh.ts'
import { createRotationBatch } from '../tokens/rotation/batch.ts'
import { createAccounts } from '../users/accounts.ts'
import { createAddUser } from '../users/add-user.ts'
import { createChangePassword } from '../users/change-password.ts'
import { createPasswords } from '../users/passwords.ts'
import { type Branding, createViews } from '../views/index.ts'
import { createCsrf } from './csrf.ts'
import { createPages } from './pages.ts'
import { publicAddress } from './public-address.ts'
import type { Reloads } from './reload.ts'
import { createSessionServices } from './session-services.ts'

export interface AppDeps {
  config: Config
  secrets: Secrets
  database: Database
  homeserver: Homeserver
  jobs: Jobs
  clock: Clock
  log: Logger
  /** Where parts register that take up changes without a restart. */
  reloads: Reloads
  policy: Policy
  /** What of the operator's the pages show at first. */
  branding: Branding
  /** Absent where tracing is off. */
  tracing: Tracing | undefined
}

/** The part of the composition root that knows no route: everything that routes, jobs and commands share. */
export function createServices(deps: AppDeps) {
  const { config, secrets, database, homeserver, jobs, clock, log, tracing } = deps
  const db = database.knex
  const address = publicAddress(config.http.public_url)
  const serverName = config.matrix.server_name

  const gate = createPolicyGate({ policy: deps.policy, clock, serverName })
  const sessionServices = createSessionServices({ config, db, homeserver, jobs, clock, log, gate })
  const { sessions, sessionLimit, startSession, startCompatSession } = sessionServices
  const tracingOf = (name: string) =>
    tracing && { present: () => presentScope()?.span, around: traceBatch(tracing, name) }
  const rotations = createRotationBatch({
    clientConfig: database.clientConfig,
    clock,
    log,
    accessTokenTtlSeconds: config.tokens.access_token_ttl,
    tracing: tracingOf('refresh'),
  })
  const refresh = createRefresh({
    db,
    rotateCurrent: rotations.rotateCurrent,
    clock,
    accessTokenTtlSeconds: config.tokens.access_token_ttl,
    graceSeconds: config.tokens.refresh_grace,
    endReplayedSession: async (trx, id) => {
      const ended = await sessions.endWithin(trx, id, 'token_replay', { actor: 'client' })
      return () => sessions.settle(ended ? [ended] : [])
    },
  })

  const metrics = createMetrics()
  const batch = createLookupBatch({
    clientConfig: database.clientConfig,
    log,
    observe(size, seconds) {
      metrics.batchSize.observe(size)
      metrics.batchSeconds.observe(seconds)
    },
    tracing: tracingOf('introspection'),
  })
  const activity = createActivity({ db, clock, log })
  const introspect = createIntrospector({ clock, batch, activity })

  const limits = createLimits({ db, clock, config: config.limits })
  const plainPasswords = createPasswords({ db, config: config.passwords })
  const passwords = tracing ? tracePasswords(plainPasswords, tracing) : plainPasswords
  const browserSessions = createBrowserSessions({
    db,
    clock,
    endWebsites: sessions.endWebsitesOfBrowserWithin,
  })
  const browser = createBrowser({ browserSessions, address })
  const { checkPassword, comparePassword } = createPasswordCheck({ db, passwords, limits, serverName, gate })
  const passwordSignIn = createPasswordSignIn({ db, passwords, clock, checkPassword, comparePassword })
  const signIn = createSignInForm({ clock, passwordSignIn, browserSessions, browser })
  const addUser = createAddUser({ db, clock, passwords, homeserver, jobs, serverName })
  const firstAdmin = createFirstAdmin({ db, clock, addUser })
  const accounts = createAccounts({ db, clock, passwords, jobs, sessions, browserSessions })
  const changePassword = createChangePassword({
    db,
    clock,
    passwords,
    checkPassword,
    sessions,
    browserSessions,
  })

  const appservices = createAppservices({ appservices: config.appservices, serverName })
  const findAppserviceUser = createFindAppserviceUser({ db, clock, homeserver })

  const views = createViews({ branding: deps.branding, basePath: address.basePath, clock, log })
  deps.reloads.register('pages', async (fresh) =>
    views.prepareReload(await loadBranding(fresh.branding, serverName)),
  )
  const csrf = createCsrf({
    key: secrets.derive('csrf'),
    address,
    cookieName: address.secure ? '__Host-postern_form' : 'postern_form',
  })
  const pages = createPages({ views, csrf, signedInAs: browser.signedInAs })

  return {
    db,
    address,
    serverName,
    views,
    cookieKeys: [secrets.derive('cookies').toString('base64url')],
    userCodeKey: secrets.derive('user-codes'),
    sessions,
    startSession,
    startCompatSession,
    refresh,
    closeBatches: () => Promise.all([batch.close(), rotations.close()]),
    metrics,
    activity,
    introspect,
    limits,
    passwords,
    browserSessions,
    browser,
    requireSignIn: createRequireSignIn({ browser, basePath: address.basePath }),
    gate,
    sessionLimit,
    checkPassword,
    passwordSignIn,
    signIn,
    addUser,
    firstAdmin,
    accounts,
    changePassword,
    appservices,
    findAppserviceUser,
    pages,
    facts: createRequestFacts({ db }),
  }
}

export type Services = ReturnType<typeof createServices>
