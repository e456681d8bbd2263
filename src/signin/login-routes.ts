import type Router from '@koa/router'
import type { Context } from 'koa'
import type { Pages } from '../server/pages.ts'
import type { Browser, Current } from './browser.ts'
import { safeNext } from './safe-next.ts'
import type { SignInAgain, SignInForm } from './sign-in-form.ts'

export interface LoginDeps {
  pages: Pages
  browser: Browser
  signIn: SignInForm
  basePath: string
}

/** Where a page sends someone who is not signed in; they come back to `path` after the sign-in. */
export function loginUrl(basePath: string, path: string): string {
  return `${basePath}login?${new URLSearchParams({ next: path })}`
}

/** Whoever is signed in with this browser and not locked; sends everyone else to the sign-in and gives nothing. */
export function createRequireSignIn({ browser, basePath }: Pick<LoginDeps, 'browser' | 'basePath'>) {
  return async function requireSignIn(ctx: Context): Promise<Current | undefined> {
    const current = await browser.current(ctx)
    if (current && !current.user.lockedAt) return current
    const { originalUrl } = ctx.req as { originalUrl?: string }
    ctx.redirect(loginUrl(basePath, ctx.method === 'GET' ? (originalUrl ?? basePath) : `${basePath}account`))
    ctx.status = 303
    return undefined
  }
}

export type RequireSignIn = ReturnType<typeof createRequireSignIn>

/** Signing in without an app that asks for it: for the account pages and the device page. */
export function addLoginRoutes(router: Router, { pages, browser, signIn, basePath }: LoginDeps): void {
  const nextOf = (value: unknown) =>
    safeNext(typeof value === 'string' ? value : undefined, basePath, `${basePath}account`)

  async function show(ctx: Context, next: string, again?: SignInAgain): Promise<void> {
    if (again?.retryAfterSeconds) ctx.set('Retry-After', String(again.retryAfterSeconds))
    const locked = (await browser.current(ctx))?.user.lockedAt ? ('locked' as const) : undefined
    const data = {
      form: await pages.form(ctx, `${basePath}login`, next),
      username: again?.username,
      errors: again?.errors,
      refused: again?.refused,
      notice: again ? again.notice : locked,
    }
    pages.render(ctx, 'sign-in', data, { status: again?.status ?? 200 })
  }

  router.get('/', (ctx) => {
    ctx.redirect(`${basePath}account`)
    ctx.status = 303
  })

  router.get('/login', async (ctx) => {
    const next = nextOf(ctx.query.next)
    const current = await browser.current(ctx)
    if (!current || current.user.lockedAt || ctx.query.switch === '1') return show(ctx, next)
    ctx.redirect(next)
    ctx.status = 303
  })

  router.post('/login', async (ctx) => {
    const form = await pages.readForm(ctx, { signIn: true })
    const next = nextOf(form.fields.get('next'))
    const result = await signIn(ctx, form)
    if ('again' in result) return show(ctx, next, result.again)
    ctx.redirect(next)
    ctx.status = 303
  })
}
