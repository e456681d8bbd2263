import type Router from '@koa/router'
import type { Pages } from '../server/pages.ts'
import type { Browser } from './browser.ts'

/** Signing this browser out. Matrix apps stay signed in: they have sessions of their own. */
export function addSignOutRoutes(
  router: Router,
  {
    pages,
    browser,
    serverName,
    basePath,
  }: { pages: Pages; browser: Browser; serverName: string; basePath: string },
): void {
  router.get('/sign-out', async (ctx) => {
    const current = await browser.current(ctx)
    if (!current) return pages.render(ctx, 'signed-out', { signInUrl: `${basePath}login` })
    const form = await pages.form(ctx, `${basePath}sign-out`)
    pages.render(ctx, 'sign-out', { form, user: { mxid: `@${current.user.localpart}:${serverName}` } })
  })

  router.post('/sign-out', async (ctx) => {
    await pages.readForm(ctx)
    await browser.signOut(ctx)
    ctx.redirect(`${basePath}sign-out`)
    ctx.status = 303
  })
}
