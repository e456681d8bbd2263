import Router from '@koa/router'
import Koa from 'koa'
import { createCleanup } from '../cleanup/cleanup.ts'
import { addCompatRoutes } from '../compat/routes.ts'
import { UnavailableError } from '../errors.ts'
import { createHomeserverIntrospection } from '../oauth/introspection/homeserver-endpoint.ts'
import { ready } from '../storage/availability.ts'
import { createCollect } from '../telemetry/collect.ts'
import { createMetricsHandler } from '../telemetry/handler.ts'
import { traceIntrospection, traceRequests } from '../telemetry/spans/requests.ts'
import { createClientAddress, createPeerTrust } from './door/client-address.ts'
import { createRequestIds } from './door/request-id.ts'
import { createFrontDoor } from './front-door.ts'
import { cors } from './middleware/cors.ts'
import { errors } from './middleware/errors.ts'
import { requestContext } from './middleware/request-context.ts'
import { securityHeaders } from './middleware/security-headers.ts'
import { addOAuth } from './oauth.ts'
import { addPageRoutes } from './page-routes.ts'
import { type AppDeps, createServices } from './services.ts'

/** The composition root: everything is built here and in its three neighbours, and handed on. */
export async function createApp(deps: AppDeps) {
  const { config, database, clock, log, tracing } = deps
  const services = createServices(deps)
  const { db, address, pages, introspect, sessions, metrics, passwords } = services

  const router = new Router()
  const { library, jobHandlers } = await addOAuth(router, deps, services)
  addPageRoutes(router, deps, services)
  // Of its own: a router tries each of its routes on every request, and a flood on one API is no matter of the other's.
  const clientServerRouter = new Router()
  addCompatRoutes(clientServerRouter, {
    ...services,
    clock,
    passwordSignIn: services.passwords.enabled ? services.passwordSignIn : undefined,
  })
  router.get('/health', (ctx) => {
    ctx.body = 'ok'
  })
  router.get('/ready', async (ctx) => {
    if (!(await ready(database))) throw new UnavailableError('The database cannot be reached')
    ctx.body = 'ready'
  })

  const isTrusted = createPeerTrust({ trustedProxies: config.http.trusted_proxies })
  const requestId = createRequestIds({ clock, isTrusted })
  const app = new Koa({ proxy: true, keys: services.cookieKeys })
  const clientAddress = createClientAddress({ trustedProxies: config.http.trusted_proxies })
  app.use(requestContext({ clientAddress, requestId, log, answered: metrics.answered }))
  app.use(securityHeaders({ secure: address.secure }))
  app.use(cors())
  app.use(errors({ pages, log }))
  const [clientServerRoutes, routes] = [clientServerRouter.routes(), router.routes()]
  // The API's own pages, such as the consent of its sign-in by redirect, lie outside of its paths.
  app.use((ctx, next) => {
    const inClientServerApi = () => clientServerRoutes(ctx as never, next)
    return ctx.path.startsWith('/_matrix/') ? inClientServerApi() : routes(ctx as never, inClientServerApi)
  })
  app.use(library)
  // Outside of the request's scope: what failed is what would have answered.
  app.on('error', (err, ctx?: Koa.Context) =>
    log.error({ err, requestId: ctx?.state.requestId }, 'request.unanswered'),
  )

  const introspection =
    config.matrix.secret === undefined
      ? undefined
      : createHomeserverIntrospection({
          secret: config.matrix.secret,
          introspect,
          requestId,
          log,
          count: metrics.introspection.count,
        })
  const door = createFrontDoor({
    address,
    introspection: tracing && introspection ? traceIntrospection(introspection) : introspection,
    requestId,
    log,
    handle: app.callback(),
  })
  const handler = tracing ? traceRequests(door, { tracing, isTrusted }) : door

  const metricsHandler = createMetricsHandler(createCollect({ db, metrics, hashing: passwords.load }), log)
  const cleanUp = createCleanup({ db, clock, log, sessions, idleLimit: config.sessions.idle_limit })
  const { activity, addUser, firstAdmin, accounts, closeBatches } = services
  return {
    handler,
    activity,
    cleanUp,
    jobHandlers,
    addUser,
    firstAdmin,
    accounts,
    sessions,
    metricsHandler,
    close: closeBatches,
  }
}

export type App = Awaited<ReturnType<typeof createApp>>
