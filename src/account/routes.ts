import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { PosternError } from '../errors.ts'
import { isId } from '../ids.ts'
import { parseScope } from '../oauth/scopes.ts'
import type { Pages } from '../server/pages.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { findSession, listLiveSessions, type Session } from '../sessions/store.ts'
import type { Browser, Current } from '../signin/browser.ts'
import { scopeWords } from '../signin/client-summary.ts'
import type { RequireSignIn } from '../signin/login-routes.ts'
import type { AccountNotice, Links } from '../views/index.ts'
import { actionTarget } from './actions.ts'
import type { AccountFrames } from './frame.ts'
import { browserSummary, sessionSummaries } from './summaries.ts'

export interface AccountDeps {
  db: Knex
  pages: Pages
  browser: Browser
  browserSessions: BrowserSessions
  sessions: Sessions
  requireSignIn: RequireSignIn
  frame: AccountFrames
  links: Links
}

const NOTICES: readonly string[] = [
  'password_changed',
  'password_changed_others_ended',
  'session_ended',
  'session_gone',
  'browser_ended',
] satisfies AccountNotice[]

function notFound(): PosternError {
  return new PosternError('not_found', 'There is no such session', { status: 404 })
}

function redirect(ctx: Context, url: string): void {
  ctx.redirect(url)
  ctx.status = 303
}

function queryText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Who you are, your apps and devices, your browsers, and ending each. */
export function addAccountRoutes(router: Router, deps: AccountDeps): void {
  const { db, pages, browser, browserSessions, sessions, requireSignIn, frame, links } = deps

  /** The person's own session of this ID, live or ended; anybody else's is as if it were not there (check 71). */
  async function ownSession(id: unknown, { user }: Current): Promise<Session> {
    const session = typeof id === 'string' && isId(id) ? await findSession(db, id) : undefined
    if (session?.userId !== user.id) throw notFound()
    return session
  }

  async function summaryOf(ctx: Context, session: Session, current: Current) {
    const options = { locale: pages.locale(ctx), browserId: current.session.id }
    const [summary] = await sessionSummaries(db, [session], options)
    if (!summary) throw notFound()
    return summary
  }

  router.get('/account', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (!current) return
    const live = await listLiveSessions(db, current.user.id)
    const action = queryText(ctx.query.action)
    const target = action && actionTarget(action, queryText(ctx.query.device_id), live, links)
    if (target) return redirect(ctx, target)
    const notice = queryText(ctx.query.notice)
    const browsers = await browserSessions.listFor(current.user.id)
    const options = { locale: pages.locale(ctx), browserId: current.session.id }
    pages.render(ctx, 'account', {
      ...frame(current),
      sessions: await sessionSummaries(db, live, options),
      browsers: browsers.map((one) => browserSummary(one, current.session.id)),
      csrf: (await pages.form(ctx, links.account)).csrf,
      notice: NOTICES.includes(notice ?? '') ? (notice as AccountNotice) : undefined,
    })
  })

  router.get('/account/sessions/:id', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (!current) return
    const session = await ownSession(ctx.params.id, current)
    if (session.endedAt) return redirect(ctx, `${links.account}?notice=session_gone`)
    const scopes =
      session.kind === 'compat' ? (['matrix_api'] as const) : scopeWords(parseScope(session.scope))
    pages.render(ctx, 'account-session', {
      ...frame(current),
      session: await summaryOf(ctx, session, current),
      scopes,
    })
  })

  router.get('/account/sessions/:id/end', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (!current) return
    const session = await ownSession(ctx.params.id, current)
    if (session.endedAt) return redirect(ctx, `${links.account}?notice=session_gone`)
    const form = await pages.form(ctx, links.sessionEnd(session.id))
    pages.render(ctx, 'account-session-end', {
      ...frame(current),
      form,
      session: await summaryOf(ctx, session, current),
    })
  })

  router.post('/account/sessions/:id/end', async (ctx) => {
    await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    const session = await ownSession(ctx.params.id, current)
    const by = { actor: 'user', actorUserId: current.user.id, ip: ctx.state.ip } as const
    const ended = await sessions.end(session.id, 'signed_out', by)
    redirect(ctx, `${links.account}?notice=${ended ? 'session_ended' : 'session_gone'}`)
  })

  router.post('/account/browsers/:id/end', async (ctx) => {
    await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    const id = String(ctx.params.id)
    if (id === current.session.id) {
      await browser.signOut(ctx)
      return redirect(ctx, links.signOut)
    }
    const other = isId(id) ? await browserSessions.get(id) : undefined
    if (other && other.userId !== current.user.id) throw notFound()
    if (other)
      await browserSessions.end(id, { actor: 'user', actorUserId: current.user.id, ip: ctx.state.ip })
    redirect(ctx, `${links.account}?notice=${other ? 'browser_ended' : 'session_gone'}`)
  })
}
