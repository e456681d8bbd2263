import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { PosternError } from '../errors.ts'
import type { Pages } from '../server/pages.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { Browser } from '../signin/browser.ts'
import { passwordError } from '../users/password-error.ts'
import { hasAdmin } from '../users/store.ts'
import type { FormErrors } from '../views/index.ts'
import type { FirstAdmin } from './first-admin.ts'

export interface SetupDeps {
  db: Knex
  pages: Pages
  browser: Browser
  browserSessions: BrowserSessions
  firstAdmin: FirstAdmin
  serverName: string
  basePath: string
  minimumLength: number
}

/** What a refused name or password means for the fields of the page. */
function fieldErrors(error: unknown, minimumLength: number): FormErrors {
  if (!(error instanceof PosternError)) throw error
  if (error.code === 'invalid_localpart' || error.code === 'localpart_invalid')
    return { username: 'error.username_invalid' }
  if (['user_exists', 'localpart_in_use', 'localpart_exclusive'].includes(error.code)) {
    return { username: 'error.username_taken' }
  }
  const password = passwordError(error, minimumLength)
  if (password) return { password }
  throw error
}

/** The page on which the first administrator's account is made, once, from a link that only the operator sees. */
export function addSetupRoutes(router: Router, deps: SetupDeps): void {
  const { db, pages, browser, browserSessions, firstAdmin, serverName, basePath, minimumLength } = deps

  async function show(ctx: Context, { username, errors }: { username?: string; errors?: FormErrors } = {}) {
    const form = await pages.form(ctx, `${basePath}setup/${ctx.params.ticket}`)
    const data = { form, username, errors, serverName, minimumLength }
    pages.render(ctx, 'first-admin', data, { status: errors ? 400 : 200 })
  }

  async function showInvalid(ctx: Context): Promise<void> {
    const data = { adminExists: await hasAdmin(db), signInUrl: `${basePath}login` }
    pages.render(ctx, 'first-admin-invalid', data, { status: 410 })
  }

  function incomplete(fields: ReadonlyMap<string, string>): FormErrors | undefined {
    const errors: Record<string, FormErrors[string]> = {}
    if (!fields.get('username')?.trim()) errors.username = 'error.username_missing'
    if (!fields.get('password')) errors.password = 'error.password_missing'
    else if (fields.get('password') !== fields.get('password_again'))
      errors.password_again = 'error.passwords_differ'
    return Object.keys(errors).length > 0 ? errors : undefined
  }

  router.get('/setup/:ticket', async (ctx) => {
    if (!(await firstAdmin.isValid(String(ctx.params.ticket)))) return showInvalid(ctx)
    return show(ctx)
  })

  router.post('/setup/:ticket', async (ctx) => {
    const { fields, formId } = await pages.readForm(ctx)
    const username = (fields.get('username') ?? '').trim()
    const missing = incomplete(fields)
    if (missing) return show(ctx, { username, errors: missing })
    const facts = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') || undefined }
    try {
      const password = fields.get('password') ?? ''
      const user = await firstAdmin.redeem(
        String(ctx.params.ticket),
        { localpart: username, password },
        facts,
      )
      await browser.signOut(ctx)
      const started = await db.transaction((trx) => browserSessions.start(trx, user, facts, formId))
      browser.remember(ctx, started.cookie)
      ctx.redirect(`${basePath}account`)
      ctx.status = 303
    } catch (error) {
      if (error instanceof PosternError && error.code === 'ticket_invalid') return showInvalid(ctx)
      return show(ctx, { username, errors: fieldErrors(error, minimumLength) })
    }
  })
}
