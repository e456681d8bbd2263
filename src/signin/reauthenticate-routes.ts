import type Router from '@koa/router'
import type { Context } from 'koa'
import type { Pages } from '../server/pages.ts'
import type { Browser, Current } from './browser.ts'
import type { RequireSignIn } from './login-routes.ts'
import { reauthenticateAgain } from './reauthenticate-again.ts'
import { safeNext } from './safe-next.ts'
import type { SignInForm } from './sign-in-form.ts'

export interface ReauthenticateDeps {
  pages: Pages
  browser: Browser
  requireSignIn: RequireSignIn
  signIn: SignInForm
  serverName: string
  basePath: string
}

/** Where a page sends someone whose password a rule of the operator wants again; they come back to `path`. */
export function reauthenticateUrl(basePath: string, path: string): string {
  return `${basePath}reauthenticate?${new URLSearchParams({ next: path })}`
}

/** Asking whoever is signed in for their password once more, before an app gets in. */
export function addReauthenticateRoutes(router: Router, deps: ReauthenticateDeps): void {
  const { pages, browser, requireSignIn, signIn, serverName, basePath } = deps
  const nextOf = (value: unknown) =>
    safeNext(typeof value === 'string' ? value : undefined, basePath, `${basePath}account`)

  async function show(
    ctx: Context,
    { user }: Current,
    next: string,
    form?: Awaited<ReturnType<SignInForm>>,
  ): Promise<void> {
    const again = reauthenticateAgain(ctx, form)
    const data = {
      form: await pages.form(ctx, `${basePath}reauthenticate`, next),
      user: { mxid: `@${user.localpart}:${serverName}` },
      ...again.data,
      forApp: true,
    }
    pages.render(ctx, 'reauthenticate', data, { status: again.status })
  }

  router.get('/reauthenticate', async (ctx) => {
    const current = await requireSignIn(ctx)
    if (current) await show(ctx, current, nextOf(ctx.query.next))
  })

  router.post('/reauthenticate', async (ctx) => {
    const form = await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    const next = nextOf(form.fields.get('next'))
    const result = await signIn(ctx, form, current.user.localpart)
    if ('again' in result) return show(ctx, (await browser.current(ctx)) ?? current, next, result)
    ctx.redirect(next)
    ctx.status = 303
  })
}
