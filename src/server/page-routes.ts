import type Router from '@koa/router'
import { addCrossSigningRoutes } from '../account/cross-signing-routes.ts'
import { createAccountFrames } from '../account/frame.ts'
import { addPasswordRoutes } from '../account/password-routes.ts'
import { addAccountRoutes } from '../account/routes.ts'
import { addSetupRoutes } from '../setup/setup-routes.ts'
import { addLinkRoutes } from '../signin/link-routes.ts'
import { addLoginRoutes } from '../signin/login-routes.ts'
import { addReauthenticateRoutes } from '../signin/reauthenticate-routes.ts'
import { addSessionLimitRoutes } from '../signin/session-limit-routes.ts'
import { addSignOutRoutes } from '../signin/sign-out-routes.ts'
import { createLinks } from '../views/index.ts'
import type { AppDeps, Services } from './services.ts'

/** The part of the composition root that people see: pages that belong to no authorization request. */
export function addPageRoutes(router: Router, deps: AppDeps, services: Services): void {
  const { config, clock, log, homeserver } = deps
  const { db, serverName, pages, browser, browserSessions, sessions, signIn, limits } = services
  const { basePath } = services.address
  const minimumLength = config.passwords.minimum_length
  addLoginRoutes(router, { pages, browser, signIn, basePath })
  addReauthenticateRoutes(router, {
    pages,
    browser,
    requireSignIn: services.requireSignIn,
    signIn,
    serverName,
    basePath,
  })
  const { requireSignIn, sessionLimit } = services
  addSessionLimitRoutes(router, { db, pages, requireSignIn, sessions, sessionLimit, basePath })
  addSignOutRoutes(router, { pages, browser, serverName, basePath })
  addSetupRoutes(router, {
    db,
    pages,
    browser,
    browserSessions,
    firstAdmin: services.firstAdmin,
    serverName,
    basePath,
    minimumLength,
  })

  const { userCodeKey, changePassword } = services
  addLinkRoutes(router, {
    db,
    clock,
    pages,
    limits,
    requireSignIn,
    userCodeKey,
    serverName,
    basePath,
    gate: services.gate,
    sessionLimit,
  })
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

  router.get('/assets/:name', (ctx) => {
    const asset = services.views.asset(`${basePath}assets/${ctx.params.name}`)
    if (!asset) return
    ctx.set(asset.headers)
    ctx.type = asset.type
    ctx.body = asset.body
  })
}
