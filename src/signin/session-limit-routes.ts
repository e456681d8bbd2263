import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { sessionSummaries } from '../account/summaries.ts'
import type { Pages } from '../server/pages.ts'
import type { Choice, Newcomer, SessionLimits } from '../sessions/session-limit.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Current } from './browser.ts'
import type { RequireSignIn } from './login-routes.ts'
import { safeNext } from './safe-next.ts'

export interface SessionLimitDeps {
  db: Knex
  pages: Pages
  requireSignIn: RequireSignIn
  sessions: Pick<Sessions, 'end'>
  sessionLimit: Pick<SessionLimits, 'choice'>
  basePath: string
}

/** Where a page sends someone who has to end sessions before the next; they come back to `path`. */
export function sessionLimitUrl(
  basePath: string,
  path: string,
  { kind, deviceId }: Omit<Newcomer, 'user'>,
): string {
  const query = new URLSearchParams({ next: path, kind, ...(deviceId === null ? {} : { device: deviceId }) })
  return `${basePath}session-limit?${query}`
}

/** The page on which people choose what ends before they are signed in with one more app. */
export function addSessionLimitRoutes(router: Router, deps: SessionLimitDeps): void {
  const { db, pages, requireSignIn, sessions, sessionLimit, basePath } = deps

  function askedFor(ctx: Context) {
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
    const next = safeNext(text(ctx.query.next), basePath, `${basePath}account`)
    const kind = ctx.query.kind === 'compat' ? ('compat' as const) : ('oauth' as const)
    return { next, kind, deviceId: text(ctx.query.device) ?? null }
  }

  async function show(ctx: Context, { session }: Current, choice: Choice, tooFew = false): Promise<void> {
    const { next, ...newcomer } = askedFor(ctx)
    const options = { locale: pages.locale(ctx), browserId: session.id }
    const data = {
      form: await pages.form(ctx, sessionLimitUrl(basePath, next, newcomer)),
      // The last used first, as on the account page.
      sessions: await sessionSummaries(db, choice.sessions.toReversed(), options),
      toEnd: choice.toEnd,
      errors: tooFew
        ? { form: { key: 'error.too_few_sessions', params: { count: choice.toEnd } } as const }
        : undefined,
    }
    pages.render(ctx, 'session-limit', data, { status: tooFew ? 400 : 200 })
  }

  function goOn(ctx: Context): void {
    ctx.redirect(askedFor(ctx).next)
    ctx.status = 303
  }

  router.get('/session-limit', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (!current) return
    const choice = await sessionLimit.choice({ user: current.user, ...askedFor(ctx) })
    if (!choice) return goOn(ctx)
    await show(ctx, current, choice)
  })

  router.post('/session-limit', async (ctx) => {
    const { fields } = await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    const choice = await sessionLimit.choice({ user: current.user, ...askedFor(ctx) })
    if (!choice) return goOn(ctx)
    // Only what is on this person's own list: an ID that is not there ends nothing.
    const chosen = choice.sessions.filter(({ id }) => fields.has(`end_${id}`))
    if (chosen.length < choice.toEnd) return show(ctx, current, choice, true)
    const by = { actor: 'user', actorUserId: current.user.id, ip: ctx.state.ip } as const
    for (const { id } of chosen) await sessions.end(id, 'signed_out', by)
    goOn(ctx)
  })
}
