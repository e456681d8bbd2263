import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import type { Logger } from 'pino'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import type { Homeserver } from '../homeserver/client.ts'
import { HomeserverError } from '../homeserver/errors.ts'
import { provisionUser } from '../homeserver/provisioning.ts'
import type { Pages } from '../server/pages.ts'
import type { Browser, Current } from '../signin/browser.ts'
import type { RequireSignIn } from '../signin/login-routes.ts'
import { reauthenticateAgain } from '../signin/reauthenticate-again.ts'
import type { SignInForm } from '../signin/sign-in-form.ts'
import type { Links, PageData } from '../views/index.ts'
import type { AccountFrames } from './frame.ts'

/** Whoever finds an unlocked screen must not be able to replace somebody's keys (ASVS 5.0 V7.5.1). */
const FRESH_MS = 15 * 60 * 1000
/** How long the homeserver lets one upload through. */
const ALLOWED_MINUTES = 10
const RETRY_AFTER_SECONDS = 5

type Outcome = Pick<PageData['account-cross-signing-reset'], 'allowedForMinutes' | 'problem'>

export interface CrossSigningDeps {
  db: Knex
  clock: Clock
  log: Logger
  homeserver: Homeserver
  pages: Pages
  browser: Browser
  requireSignIn: RequireSignIn
  signIn: SignInForm
  frame: AccountFrames
  links: Links
}

/** Letting the next upload of cross-signing keys replace the present ones (MSC4312): an app sends people here. */
export function addCrossSigningRoutes(router: Router, deps: CrossSigningDeps): void {
  const { db, clock, log, homeserver, pages, browser, requireSignIn, signIn, frame, links } = deps

  function isFresh({ session }: Current): boolean {
    return clock.now().getTime() - session.authenticatedAt.getTime() <= FRESH_MS
  }

  async function show(ctx: Context, current: Current, outcome: Outcome = {}): Promise<void> {
    const away = outcome.problem === 'homeserver_away'
    if (away) ctx.set('Retry-After', String(RETRY_AFTER_SECONDS))
    const data = { ...frame(current), form: await pages.form(ctx, links.crossSigningReset), ...outcome }
    pages.render(ctx, 'account-cross-signing-reset', data, { status: away ? 503 : 200 })
  }

  async function askPassword(
    ctx: Context,
    current: Current,
    form?: Awaited<ReturnType<SignInForm>>,
  ): Promise<void> {
    const again = reauthenticateAgain(ctx, form)
    const data = {
      form: await pages.form(ctx, links.crossSigningReset),
      user: frame(current).user,
      ...again.data,
    }
    pages.render(ctx, 'reauthenticate', data, { status: again.status })
  }

  async function allow(ctx: Context, current: Current): Promise<void> {
    const { user } = current
    try {
      // Somebody who was added a moment ago may not be known there yet: their job has not run.
      await provisionUser({ knex: db, homeserver, clock }, user)
      await homeserver.allowCrossSigningReset(user.localpart)
    } catch (err) {
      if (!(err instanceof HomeserverError)) throw err
      log.error({ err }, 'cross_signing_reset.failed')
      return show(ctx, current, { problem: 'homeserver_away' })
    }
    await recordAudit(db, clock.now(), {
      event: 'cross_signing_reset.allowed',
      actor: 'user',
      actorUserId: user.id,
      userId: user.id,
      ip: ctx.state.ip,
    })
    ctx.redirect(`${links.crossSigningReset}?allowed=1`)
    ctx.status = 303
  }

  router.get('/account/cross-signing-reset', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (!current) return
    if (!homeserver.configured) return show(ctx, current, { problem: 'no_homeserver' })
    if (!isFresh(current)) return askPassword(ctx, current)
    return show(ctx, current, ctx.query.allowed === '1' ? { allowedForMinutes: ALLOWED_MINUTES } : {})
  })

  router.post('/account/cross-signing-reset', async (ctx) => {
    const form = await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    if (!homeserver.configured) return show(ctx, current, { problem: 'no_homeserver' })
    const answers = form.fields.has('username') || form.fields.has('password')
    if (!answers) return isFresh(current) ? allow(ctx, current) : askPassword(ctx, current)
    const result = await signIn(ctx, form, current.user.localpart)
    if ('again' in result) return askPassword(ctx, (await browser.current(ctx)) ?? current, result)
    ctx.redirect(links.crossSigningReset)
    ctx.status = 303
  })
}
