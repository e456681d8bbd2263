import type Router from '@koa/router'
import type { Context } from 'koa'
import { LimitedError, PosternError } from '../errors.ts'
import type { Pages } from '../server/pages.ts'
import type { Browser, Current } from '../signin/browser.ts'
import type { RequireSignIn } from '../signin/login-routes.ts'
import type { ChangePassword } from '../users/change-password.ts'
import { passwordError } from '../users/password-error.ts'
import type { FormErrors, Links } from '../views/index.ts'
import type { AccountFrames } from './frame.ts'

export interface PasswordRoutesDeps {
  pages: Pages
  browser: Browser
  requireSignIn: RequireSignIn
  changePassword: ChangePassword
  frame: AccountFrames
  links: Links
  minimumLength: number
}

function incomplete(fields: ReadonlyMap<string, string>): FormErrors | undefined {
  const errors: Record<string, FormErrors[string]> = {}
  if (!fields.get('current_password')) errors.current_password = 'error.password_missing'
  if (!fields.get('new_password')) errors.new_password = 'error.password_missing'
  else if (fields.get('new_password') !== fields.get('new_password_again')) {
    errors.new_password_again = 'error.passwords_differ'
  }
  return Object.keys(errors).length > 0 ? errors : undefined
}

/** Changing one's password, with the present one; the limits are those of every password (check 60). */
export function addPasswordRoutes(router: Router, deps: PasswordRoutesDeps): void {
  const { pages, browser, requireSignIn, changePassword, frame, links, minimumLength } = deps

  async function show(ctx: Context, current: Current, errors?: FormErrors, endOthers = false, status = 400) {
    const form = await pages.form(ctx, links.password)
    const data = { ...frame(current), form, minimumLength, endOthers, errors }
    pages.render(ctx, 'account-password', data, { status: errors ? status : 200 })
  }

  function refusal(error: unknown): { errors: FormErrors; status: number } {
    if (error instanceof LimitedError) {
      const count = Math.ceil(error.retryAfterSeconds / 60)
      return { errors: { current_password: { key: 'error.too_many', params: { count } } }, status: 429 }
    }
    const message = error instanceof PosternError ? passwordError(error, minimumLength) : undefined
    if (!message) throw error
    return { errors: { new_password: message }, status: 400 }
  }

  router.get('/account/password', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (current) await show(ctx, current)
  })

  router.post('/account/password', async (ctx) => {
    const { fields } = await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    const endOtherSessions = fields.has('end_others')
    const missing = incomplete(fields)
    if (missing) return show(ctx, current, missing, endOtherSessions)
    try {
      const result = await changePassword({
        user: current.user,
        current: fields.get('current_password') ?? '',
        next: fields.get('new_password') ?? '',
        endOtherSessions,
        browserSessionId: current.session.id,
        cookie: browser.cookie(ctx) ?? '',
        ip: ctx.state.ip,
        userAgent: ctx.get('User-Agent') || undefined,
      })
      if (!result.ok)
        return show(ctx, current, { current_password: 'error.password_wrong' }, endOtherSessions)
      browser.remember(ctx, result.cookie)
      ctx.redirect(`${links.account}?notice=password_changed${endOtherSessions ? '_others_ended' : ''}`)
      ctx.status = 303
    } catch (error) {
      const { errors, status } = refusal(error)
      return show(ctx, current, errors, endOtherSessions, status)
    }
  })
}
