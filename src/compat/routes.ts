import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Appservices } from '../appservices/appservices.ts'
import type { FindAppserviceUser } from '../appservices/find-user.ts'
import type { Clock } from '../clock.ts'
import type { RequestFacts } from '../oauth/grants/request-facts.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { CheckPassword } from '../signin/password-check.ts'
import type { PasswordSignIn } from '../signin/password-sign-in.ts'
import type { Refresh } from '../tokens/refresh.ts'
import type { Accounts } from '../users/accounts.ts'
import type { Passwords } from '../users/passwords.ts'
import type { Views } from '../views/index.ts'
import { createCaller } from './account/caller.ts'
import { createInteractiveAuth } from './account/interactive-auth.ts'
import { addAccountApi } from './account/routes.ts'
import { createAppserviceLogin } from './appservice-login.ts'
import { createBearer } from './bearer.ts'
import type { StartCompatSession } from './compat-session.ts'
import { loginFlows } from './flows.ts'
import { createLogin, type LoginType } from './login.ts'
import { addLogoutRoutes } from './logout-routes.ts'
import { createPasswordLogin } from './password-login.ts'
import { clientPaths } from './paths.ts'
import { createRefreshRoute } from './refresh-route.ts'
import { addSsoRoutes, type SsoDeps } from './sso-routes.ts'
import { createTokenLogin } from './token-login.ts'

export interface CompatDeps extends SsoDeps {
  db: Knex
  clock: Clock
  sessions: Sessions
  refresh: Refresh
  /** Absent where passwords are switched off. */
  passwordSignIn: PasswordSignIn | undefined
  startCompatSession: StartCompatSession
  facts: RequestFacts
  appservices: Appservices
  findAppserviceUser: FindAppserviceUser
  checkPassword: CheckPassword
  passwords: Passwords
  browserSessions: BrowserSessions
  accounts: Accounts
  /** For what the service calls itself. */
  views: Pick<Views, 'branding'>
  serverName: string
}

/** The legacy login API, for apps that know nothing of OAuth (Matrix 1.18, "Legacy API"). */
export function addCompatRoutes(router: Router, deps: CompatDeps): void {
  const { db, clock, sessions, facts, passwordSignIn, startCompatSession, serverName, views } = deps
  const types = new Map<string, LoginType>([
    ['m.login.token', createTokenLogin({ db, clock, sessions })],
    ['m.login.application_service', createAppserviceLogin(deps)],
  ])
  if (passwordSignIn)
    types.set('m.login.password', createPasswordLogin({ db, clock, passwordSignIn, serverName }))

  router.get(clientPaths('login'), (ctx) => {
    ctx.body = loginFlows({
      passwords: passwordSignIn !== undefined,
      serviceName: views.branding().serviceName,
      appservices: deps.appservices.anySignsIn,
    })
  })
  router.post(clientPaths('login'), createLogin({ types, startCompatSession, facts, gate: deps.gate }))
  router.post(clientPaths('refresh'), createRefreshRoute({ refresh: deps.refresh }))
  const bearer = createBearer({ db, clock })
  addLogoutRoutes(router, { db, sessions, bearer })
  addAccountApi(router, {
    ...deps,
    callerOf: createCaller({
      db,
      bearer,
      appservices: deps.appservices,
      passwords: passwordSignIn !== undefined,
      accountUrl: deps.address.url('account'),
    }),
    interactively: createInteractiveAuth({ db, clock, checkPassword: deps.checkPassword, serverName }),
  })
  addSsoRoutes(router, deps)
}
