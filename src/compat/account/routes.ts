import type Router from '@koa/router'
import type { Knex } from 'knex'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import type { BrowserSessions } from '../../sessions/browser/browser-sessions.ts'
import type { Sessions } from '../../sessions/sessions.ts'
import type { Accounts } from '../../users/accounts.ts'
import type { Passwords } from '../../users/passwords.ts'
import { checkMembers, optional, readJson } from '../body.ts'
import { clientPaths } from '../paths.ts'
import type { CallerOf } from './caller.ts'
import { addDeviceRoutes } from './device-routes.ts'
import type { InteractiveAuth } from './interactive-auth.ts'
import { addPasswordRoute } from './password-route.ts'

export interface AccountApiDeps {
  db: Knex
  clock: Clock
  sessions: Sessions
  browserSessions: BrowserSessions
  passwords: Passwords
  accounts: Pick<Accounts, 'deactivate'>
  callerOf: CallerOf
  interactively: InteractiveAuth
}

const deactivateSchema = z.object({ erase: optional(z.boolean()) })

/** What apps do to the account of whoever is signed in, each after the password once more. */
export function addAccountApi(router: Router, deps: AccountApiDeps): void {
  const { accounts, callerOf, interactively } = deps
  addDeviceRoutes(router, deps)
  addPasswordRoute(router, deps)

  router.post(clientPaths('account/deactivate'), async (ctx) => {
    const caller = await callerOf(ctx)
    const body = await readJson(ctx)
    const erase = checkMembers(deactivateSchema, body).erase ?? false
    const operation = { name: 'account/deactivate', parameters: { erase } }
    const done = await interactively(ctx, caller, operation, body, async () => ({ erase }))
    if (!done) return
    // After the transaction of the password check, which holds the user's row: this one changes it.
    const by = { actor: 'user', actorUserId: caller.user.id, ip: ctx.state.ip as string } as const
    await accounts.deactivate(caller.user.id, done, by)
    // The homeserver unbinds addresses when it deactivates the account, by a job: what comes of it is not known yet.
    ctx.body = { id_server_unbind_result: 'no-support' }
  })
}
