import type Router from '@koa/router'
import type { Middleware } from 'koa'
import compose from 'koa-compose'
import type Provider from 'oidc-provider'
import { PosternError } from '../errors.ts'
import type { JobHandlers } from '../jobs/jobs.ts'
import { createAuthorizeRoute } from '../oauth/authorize-route.ts'
import { createDelivery } from '../oauth/backchannel/deliver.ts'
import { createLogoutNotices } from '../oauth/backchannel/logout-notices.ts'
import { issueLogoutToken } from '../oauth/backchannel/logout-token.ts'
import { addDeviceAuthorizationRoute, DEVICE_GRANT } from '../oauth/device/authorization-route.ts'
import { createAuthorizationCodeGrant } from '../oauth/grants/authorization-code.ts'
import { createClientCredentialsGrant } from '../oauth/grants/client-credentials.ts'
import { createDeviceCodeGrant } from '../oauth/grants/device-code.ts'
import { noteUnavailable } from '../oauth/grants/errors.ts'
import { createRefreshGrant } from '../oauth/grants/refresh-token.ts'
import { answerTemporary } from '../oauth/grants/temporary.ts'
import { createTokenAnswers } from '../oauth/grants/token-answer.ts'
import { createUserGrant } from '../oauth/grants/user-grant.ts'
import { addLogoutRoutes } from '../oauth/logout.ts'
import { ownMetadata, pageMetadata } from '../oauth/metadata.ts'
import { createClientAuthentication } from '../oauth/provider/client-authentication.ts'
import { replaceSigningKeys, selfTest } from '../oauth/provider/patches.ts'
import { createProvider } from '../oauth/provider/provider.ts'
import { addOAuthRoutes } from '../oauth/routes.ts'
import { checkedForm } from '../oauth/token-route.ts'
import { addInteractionRoutes } from '../signin/interaction-routes.ts'
import { isUnavailable } from '../storage/availability.ts'
import { hashSecret } from '../tokens/format.ts'
import { findScopeOfToken } from '../tokens/store.ts'
import type { AppDeps, Services } from './services.ts'

type Grants = Pick<ReturnType<typeof createRefreshGrant>, 'publicRefresh'>

/** Plugs our grants into the library; what it keeps for itself is the way to them. */
function registerGrants(provider: Provider, { config, clock }: AppDeps, services: Services): Grants {
  const { db, sessions, startSession, refresh, facts } = services
  const tokens = createTokenAnswers({
    provider: () => provider,
    accessTokenTtl: config.tokens.access_token_ttl,
  })
  const refreshGrant = createRefreshGrant({
    refresh,
    findScope: (token) => findScopeOfToken(db, hashSecret(token)),
  })
  const grantToUser = createUserGrant({ db, clock, startSession, tokens, facts })
  const codeGrant = createAuthorizationCodeGrant({ db, clock, sessions, facts, grantToUser })
  const clientGrant = createClientCredentialsGrant({ db, startSession, tokens, facts, gate: services.gate })
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
  return refreshGrant
}

async function createLibrary(deps: AppDeps, services: Services): Promise<Provider> {
  const { config, secrets, clock, log, reloads } = deps
  const { db, address, cookieKeys, browser, pages } = services
  const cookies = address.secure
    ? { interaction: '__Secure-postern_interaction', resume: '__Secure-postern_resume', secure: true }
    : { interaction: 'postern_interaction', resume: 'postern_resume', secure: false }
  const provider: Provider = createProvider({
    db,
    gate: services.gate,
    sessionLimit: services.sessionLimit,
    clock,
    issuer: address.issuer,
    signingKeys: secrets.signingKeys,
    cookieKeys,
    cookies,
    interactionUrl: (uid) => `${address.basePath}interaction/${uid}`,
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
  await selfTest(provider, secrets.signingKeys)
  reloads.register('signing keys', async () => {
    const keys = await secrets.readSigningKeys()
    return () => replaceSigningKeys(provider, keys)
  })
  provider.on('server_error', (ctx, error) => {
    ctx.state.serverError = error
    if (isUnavailable(error)) noteUnavailable(ctx as never, error)
    else log.error({ err: error }, 'provider.failed')
  })
  return provider
}

/**
 * The OAuth and OpenID Connect part of the composition root: adds its routes, and returns the library itself, which
 * answers what no route does, and its jobs.
 */
export async function addOAuth(
  router: Router,
  deps: AppDeps,
  services: Services,
): Promise<{ library: Middleware; jobHandlers: JobHandlers }> {
  const { config, clock, log } = deps
  const { db, address, serverName, sessions, introspect, limits, facts, pages, browser, signIn } = services
  const { issuer, basePath } = address
  const provider = await createLibrary(deps, services)
  const grants = registerGrants(provider, deps, services)
  // The library brings Koa types of its own.
  const library = compose(provider.middleware) as never as Middleware

  const authenticate = createClientAuthentication(provider)
  const { userCodeKey } = services
  addDeviceAuthorizationRoute(router, { db, clock, address, authenticate, facts, userCodeKey })
  const authorize = createAuthorizeRoute({ db, provider, pages, library, issuer })
  router.get('/authorize', authorize as never)
  router.get('/authorize/:uid', authorize as never)
  router.post('/authorize', async (ctx) => {
    // OpenID Connect Core §3.1.2.1 wants POST too. A request that another site posts carries no cookies of ours
    // (SameSite), so it goes on as the GET that it means.
    const form = await checkedForm(ctx)
    ctx.redirect(`${address.url('authorize')}?${new URLSearchParams([...form])}`)
    ctx.status = 303
  })
  router.post('/oauth2/par', async (ctx, next) => {
    await checkedForm(ctx)
    await library(ctx as never, next)
  })
  router.get(
    ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'],
    async (ctx, next) => {
      await library(ctx, next)
      if (ctx.status === 200) Object.assign(ctx.body as object, pageMetadata(services.views))
    },
  )
  router.get('/oauth2/par', (ctx) => {
    // RFC 9126 §2.3 wants this rather than a 404.
    ctx.set('Allow', 'POST')
    throw new PosternError('invalid_request', 'requests are pushed by POST', { status: 405 })
  })
  addOAuthRoutes(router, {
    db,
    sessions,
    publicRefresh: grants.publicRefresh,
    library,
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
          gate: services.gate,
          limit: (ip) => limits.registration.take(ip),
        }
      : undefined,
    issuer,
    serverName,
  })
  addInteractionRoutes(router, {
    gate: services.gate,
    sessionLimit: services.sessionLimit,
    db,
    clock,
    provider: () => provider,
    pages,
    browser,
    signIn,
    serverName,
    basePath,
  })
  addLogoutRoutes(router, { db, provider, pages, browser, serverName, basePath })
  const sendLogoutNotice = createLogoutNotices({
    db,
    clock,
    log,
    deliver: createDelivery(),
    issueToken: (session) => issueLogoutToken(provider, session),
    allowInsecureUris: config.client_registration.allow_insecure_uris,
  })
  return { library, jobHandlers: { 'client.logout': sendLogoutNotice } }
}
