import Router from '@koa/router'
import Koa from 'koa'
import compose from 'koa-compose'
import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import { addCrossSigningRoutes } from '../account/cross-signing-routes.ts'
import { createAccountFrames } from '../account/frame.ts'
import { addPasswordRoutes } from '../account/password-routes.ts'
import { addAccountRoutes } from '../account/routes.ts'
import { createCleanup } from '../cleanup/cleanup.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import { UnavailableError } from '../errors.ts'
import type { Homeserver } from '../homeserver/client.ts'
import { deleteQueuedDevices, queueDeviceDeletion } from '../homeserver/device-sync.ts'
import { provisionUser } from '../homeserver/provisioning.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Secrets } from '../keys/index.ts'
import { createLimits } from '../limits/limits.ts'
import { createAuthorizeRoute } from '../oauth/authorize-route.ts'
import { addDeviceAuthorizationRoute, DEVICE_GRANT } from '../oauth/device/authorization-route.ts'
import { createAuthorizationCodeGrant } from '../oauth/grants/authorization-code.ts'
import { createClientCredentialsGrant } from '../oauth/grants/client-credentials.ts'
import { createDeviceCodeGrant } from '../oauth/grants/device-code.ts'
import { createRefreshGrant } from '../oauth/grants/refresh-token.ts'
import { createRequestFacts } from '../oauth/grants/request-facts.ts'
import { answerTemporary } from '../oauth/grants/temporary.ts'
import { createTokenAnswers } from '../oauth/grants/token-answer.ts'
import { createUserGrant } from '../oauth/grants/user-grant.ts'
import { createActivity } from '../oauth/introspection/activity.ts'
import { createLookupBatch } from '../oauth/introspection/batch.ts'
import { createHomeserverIntrospection } from '../oauth/introspection/homeserver-endpoint.ts'
import { createIntrospector } from '../oauth/introspection/introspector.ts'
import { addLogoutRoutes } from '../oauth/logout.ts'
import { ownMetadata } from '../oauth/metadata.ts'
import { createClientAuthentication } from '../oauth/provider/client-authentication.ts'
import { selfTest } from '../oauth/provider/patches.ts'
import { createProvider } from '../oauth/provider/provider.ts'
import { addOAuthRoutes } from '../oauth/routes.ts'
import { checkedForm } from '../oauth/token-route.ts'
import { createBrowserSessions } from '../sessions/browser/browser-sessions.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createSessionStarter } from '../sessions/start.ts'
import { createFirstAdmin } from '../setup/first-admin.ts'
import { addSetupRoutes } from '../setup/setup-routes.ts'
import { createBrowser } from '../signin/browser.ts'
import { addInteractionRoutes } from '../signin/interaction-routes.ts'
import { addLinkRoutes } from '../signin/link-routes.ts'
import { addLoginRoutes, createRequireSignIn } from '../signin/login-routes.ts'
import { createPasswordCheck } from '../signin/password-check.ts'
import { createPasswordSignIn } from '../signin/password-sign-in.ts'
import { createSignInForm } from '../signin/sign-in-form.ts'
import { addSignOutRoutes } from '../signin/sign-out-routes.ts'
import { ready } from '../storage/availability.ts'
import type { Database } from '../storage/connection.ts'
import { hashSecret } from '../tokens/format.ts'
import { createRefresh } from '../tokens/refresh.ts'
import { findScopeOfToken } from '../tokens/store.ts'
import { createAccounts } from '../users/accounts.ts'
import { createAddUser } from '../users/add-user.ts'
import { createChangePassword } from '../users/change-password.ts'
import { createPasswords } from '../users/passwords.ts'
import { createAssets, createLinks, createViews } from '../views/index.ts'
import { createCsrf } from './csrf.ts'
import { createClientAddress } from './door/client-address.ts'
import { createFrontDoor } from './front-door.ts'
import { cors } from './middleware/cors.ts'
import { errors } from './middleware/errors.ts'
import { requestContext } from './middleware/request-context.ts'
import { securityHeaders } from './middleware/security-headers.ts'
import { createPages } from './pages.ts'
import { publicAddress } from './public-address.ts'

export interface AppDeps {
  config: Config
  secrets: Secrets
  database: Database
  homeserver: Homeserver
  jobs: Jobs
  clock: Clock
  log: Logger
}

/** The composition root: everything is built here and handed on. */
export async function createApp(deps: AppDeps) {
  const { config, secrets, database, homeserver, jobs, clock, log } = deps
  const db = database.knex
  const address = publicAddress(config.http.public_url)
  const { issuer, basePath } = address
  const serverName = config.matrix.server_name
  const cookieKeys = [secrets.derive('cookies').toString('base64url')]

  const homeserverDeps = { knex: db, homeserver, clock, log }
  const sessions = createSessions({
    db,
    clock,
    queueDeviceDeletion: (trx, device) => queueDeviceDeletion(jobs, trx, device),
    deleteQueuedDevices: (deletions) => deleteQueuedDevices({ ...homeserverDeps, jobs }, deletions),
  })
  const startSession = createSessionStarter({
    db,
    clock,
    sessions,
    absoluteLimit: config.sessions.absolute_limit,
    provisionUser: (user) => provisionUser(homeserverDeps, user),
    upsertDevice: (localpart, deviceId, displayName) =>
      homeserver.upsertDevice({ localpart, deviceId, ...(displayName ? { displayName } : {}) }),
  })
  const refresh = createRefresh({
    db,
    clock,
    accessTokenTtlSeconds: config.tokens.access_token_ttl,
    graceSeconds: config.tokens.refresh_grace,
    endReplayedSession: async (trx, id) => {
      const ended = await sessions.endWithin(trx, id, 'token_replay', { actor: 'client' })
      return () => sessions.settle(ended ? [ended] : [])
    },
  })

  const batch = createLookupBatch({ clientConfig: database.clientConfig, log })
  const activity = createActivity({ db, clock, log })
  const introspect = createIntrospector({ clock, batch, activity })

  const limits = createLimits({ db, config: config.limits })
  const passwords = createPasswords({ db, config: config.passwords })
  const browserSessions = createBrowserSessions({ db, clock })
  const browser = createBrowser({ browserSessions, address })
  const passwordSignIn = createPasswordSignIn({ db, passwords, limits, clock, serverName })
  const signIn = createSignInForm({ clock, passwordSignIn, browserSessions, browser })
  const addUser = createAddUser({ db, clock, passwords, homeserver, jobs, serverName })
  const firstAdmin = createFirstAdmin({ db, clock, addUser })
  const accounts = createAccounts({ db, clock, passwords, jobs, sessions, browserSessions })
  const changePassword = createChangePassword({
    db,
    clock,
    passwords,
    checkPassword: createPasswordCheck({ db, passwords, limits, serverName }),
    sessions,
    browserSessions,
  })

  const views = createViews({ serviceName: config.branding.service_name ?? serverName, basePath, clock })
  const csrf = createCsrf({
    key: secrets.derive('csrf'),
    address,
    cookieName: address.secure ? '__Host-postern_form' : 'postern_form',
  })
  const pages = createPages({ views, csrf, signedInAs: browser.signedInAs })

  const libraryCookies = address.secure
    ? { interaction: '__Secure-postern_interaction', resume: '__Secure-postern_resume', secure: true }
    : { interaction: 'postern_interaction', resume: 'postern_resume', secure: false }
  const provider: Provider = createProvider({
    db,
    clock,
    issuer,
    signingKeys: secrets.signingKeys,
    cookieKeys,
    cookies: libraryCookies,
    interactionUrl: (uid) => `${basePath}interaction/${uid}`,
    metadata: ownMetadata(address, { registration: config.client_registration.enabled }),
    signedIn: async (ctx) => {
      const found = await browser.current(ctx)
      if (!found || found.user.lockedAt) return undefined
      const authenticatedAt = Math.floor(found.session.authenticatedAt.getTime() / 1000)
      return { id: found.session.id, accountId: found.user.id, authenticatedAt }
    },
    renderError: (ctx, out) => {
      const failure = { status: ctx.status, code: out.error, message: out.error_description ?? out.error }
      pages.failure(ctx, failure)
    },
  })
  await selfTest(provider)
  provider.on('server_error', (ctx, error) => {
    ctx.state.serverError = error
    log.error({ err: error, requestId: ctx.state.requestId }, 'provider.failed')
  })

  const facts = createRequestFacts({ db })
  const tokens = createTokenAnswers({
    provider: () => provider,
    accessTokenTtl: config.tokens.access_token_ttl,
  })
  const refreshGrant = createRefreshGrant({
    refresh,
    findScope: (token) => findScopeOfToken(db, hashSecret(token)),
  })
  const grantToUser = createUserGrant({ db, startSession, tokens, facts })
  const codeGrant = createAuthorizationCodeGrant({ db, clock, sessions, facts, grantToUser })
  const clientGrant = createClientCredentialsGrant({ db, startSession, tokens, facts })
  provider.registerGrantType('authorization_code', answerTemporary(codeGrant), [
    'code',
    'code_verifier',
    'redirect_uri',
  ])
  provider.registerGrantType('refresh_token', answerTemporary(refreshGrant.confidentialRefresh), [
    'refresh_token',
    'scope',
  ])
  provider.registerGrantType('client_credentials', answerTemporary(clientGrant), ['scope'])

  const deviceGrant = createDeviceCodeGrant({ db, clock, grantToUser })
  provider.registerGrantType(DEVICE_GRANT, answerTemporary(deviceGrant), ['device_code'])

  const library = compose(provider.middleware)
  const router = new Router()
  const authenticate = createClientAuthentication(provider)
  const userCodeKey = secrets.derive('user-codes')
  addDeviceAuthorizationRoute(router, { db, clock, address, authenticate, facts, userCodeKey })
  const authorize = createAuthorizeRoute({ db, provider, pages, library: library as never, issuer })
  router.get('/authorize', authorize as never)
  router.get('/authorize/:uid', authorize as never)
  router.post('/authorize', async (ctx) => {
    // OpenID Connect Core §3.1.2.1 wants POST too. A request that another site posts carries no cookies of ours
    // (SameSite), so it goes on as the GET that it means.
    const form = await checkedForm(ctx)
    ctx.redirect(`${address.url('authorize')}?${new URLSearchParams([...form])}`)
    ctx.status = 303
  })
  addOAuthRoutes(router, {
    db,
    sessions,
    publicRefresh: refreshGrant.publicRefresh,
    library: library as never,
    authenticate,
    introspect,
    registration: config.client_registration.enabled
      ? {
          db,
          clock,
          allowInsecureUris: config.client_registration.allow_insecure_uris,
          validateMetadata: (metadata) => {
            const Client = provider.Client as unknown as new (metadata: object) => object
            void new Client(metadata)
          },
          limit: (ip) => limits.registration.take(ip),
        }
      : undefined,
    issuer,
    serverName,
  })
  addInteractionRoutes(router, {
    db,
    clock,
    provider: () => provider,
    pages,
    browser,
    signIn,
    serverName,
    basePath,
  })

  const minimumLength = config.passwords.minimum_length
  addLoginRoutes(router, { pages, browser, signIn, basePath })
  addSignOutRoutes(router, { pages, browser, serverName, basePath })
  addLogoutRoutes(router, { db, provider, pages, browser, serverName, basePath })
  addSetupRoutes(router, {
    db,
    pages,
    browser,
    browserSessions,
    firstAdmin,
    serverName,
    basePath,
    minimumLength,
  })

  const requireSignIn = createRequireSignIn({ browser, basePath })
  addLinkRoutes(router, { db, clock, pages, limits, requireSignIn, userCodeKey, serverName, basePath })
  const frame = createAccountFrames({ serverName, passwords: config.passwords.enabled })
  const links = createLinks(basePath)
  addAccountRoutes(router, { db, pages, browser, browserSessions, sessions, requireSignIn, frame, links })
  addPasswordRoutes(router, { pages, browser, requireSignIn, changePassword, frame, links, minimumLength })
  addCrossSigningRoutes(router, {
    db,
    clock,
    log,
    homeserver,
    pages,
    browser,
    requireSignIn,
    signIn,
    frame,
    links,
  })

  const assets = createAssets({ basePath: '/' })
  router.get('/assets/:name', (ctx) => {
    const asset = assets.serve(ctx.path)
    if (!asset) return
    ctx.set(asset.headers)
    ctx.type = asset.type
    ctx.body = asset.body
  })
  router.get('/health', (ctx) => {
    ctx.body = 'ok'
  })
  router.get('/ready', async (ctx) => {
    if (!(await ready(database))) throw new UnavailableError('The database cannot be reached')
    ctx.body = 'ready'
  })

  const app = new Koa({ proxy: true, keys: cookieKeys })
  const clientAddress = createClientAddress({ trustedProxies: config.http.trusted_proxies })
  app.use(requestContext({ clientAddress, clock, log }))
  app.use(securityHeaders({ secure: address.secure }))
  app.use(cors())
  app.use(errors({ pages, log }))
  app.use(router.routes())
  app.use(library as never)
  app.on('error', (error) => log.error({ err: error }, 'request.unanswered'))

  const introspection =
    config.matrix.secret === undefined
      ? undefined
      : createHomeserverIntrospection({ secret: config.matrix.secret, introspect, log })
  const handler = createFrontDoor({ address, introspection, handle: app.callback() })

  const cleanUp = createCleanup({ db, clock, log, sessions, idleLimit: config.sessions.idle_limit })
  return { handler, activity, cleanUp, addUser, firstAdmin, accounts, sessions, close: () => batch.close() }
}

export type App = Awaited<ReturnType<typeof createApp>>
