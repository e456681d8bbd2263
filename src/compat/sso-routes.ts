import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { PolicyGate } from '../policy/gate.ts'
import { formActionOf, type Pages } from '../server/pages.ts'
import type { PublicAddress } from '../server/public-address.ts'
import type { SessionLimits } from '../sessions/session-limit.ts'
import type { Current } from '../signin/browser.ts'
import { loginUrl, type RequireSignIn } from '../signin/login-routes.ts'
import { reauthenticateUrl } from '../signin/reauthenticate-routes.ts'
import { sessionLimitUrl } from '../signin/session-limit-routes.ts'
import { hashSecret, randomBase62 } from '../tokens/format.ts'
import { MatrixError } from './matrix-error.ts'
import { clientPaths } from './paths.ts'
import { parseSsoRedirectUrl, withLoginToken } from './sso-redirect-url.ts'
import { insertLoginToken } from './store.ts'

/** As long as the specification lets it at most be used: an app exchanges it at once. */
const LOGIN_TOKEN_SECONDS = 30
const PAGE = 'sso'

export interface SsoDeps {
  db: Knex
  clock: Clock
  pages: Pages
  requireSignIn: RequireSignIn
  address: PublicAddress
  serverName: string
  gate: PolicyGate
  sessionLimit: Pick<SessionLimits, 'choice'>
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** `m.login.sso`: from the app to the sign-in page, a consent page that names where it goes, and back with a token. */
export function addSsoRoutes(router: Router, deps: SsoDeps): void {
  const { db, clock, pages, requireSignIn, address, serverName, gate, sessionLimit } = deps
  const { basePath } = address

  router.get([...clientPaths('login/sso/redirect'), ...clientPaths('login/sso/redirect/:idp')], (ctx) => {
    const redirectUrl = text(ctx.query.redirectUrl)
    if (redirectUrl === undefined) {
      throw new MatrixError(400, 'M_MISSING_PARAM', "The query needs one 'redirectUrl'")
    }
    if (!parseSsoRedirectUrl(redirectUrl)) {
      throw new MatrixError(400, 'M_INVALID_PARAM', "The 'redirectUrl' is not an address of an app")
    }
    // `action=register` (MSC3824) shows the sign-in too, as long as nobody can sign up here.
    ctx.redirect(`${address.url(PAGE)}?${new URLSearchParams({ redirectUrl })}`)
    ctx.status = 303
  })

  /** @throws PosternError, which becomes a page */
  function targetOf(ctx: Context): { url: URL; own: string } {
    const redirectUrl = text(ctx.query.redirectUrl)
    const url = parseSsoRedirectUrl(redirectUrl)
    if (!url || redirectUrl === undefined) {
      throw new PosternError('invalid_redirect_url', 'The app gave no address that a sign-in may go back to')
    }
    return { url, own: `${basePath}${PAGE}?${new URLSearchParams({ redirectUrl })}` }
  }

  /** Whether the operator's rules let this person's apps in; otherwise it has been answered. @throws PolicyDeniedError */
  async function mayEnter(ctx: Context, { user, session }: Current, own: string): Promise<boolean> {
    const origin = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') }
    const login = { type: 'sso', authenticatedAt: session.authenticatedAt } as const
    const settled = gate.compatLogin(user, origin, login)
    // Which device it will be the app says only later.
    const newcomer = { kind: 'compat', deviceId: null } as const
    if (settled === 'allow' && !(await sessionLimit.choice({ user, ...newcomer }))) return true
    seeOther(
      ctx,
      settled === 'allow' ? sessionLimitUrl(basePath, own, newcomer) : reauthenticateUrl(basePath, own),
    )
    return false
  }

  router.get(`/${PAGE}`, async (ctx) => {
    const { url, own } = targetOf(ctx)
    const current = await requireSignIn(ctx)
    if (!current || !(await mayEnter(ctx, current, own))) return
    const web = url.protocol === 'https:' || url.protocol === 'http:'
    const data = {
      form: await pages.form(ctx, own),
      user: { mxid: `@${current.user.localpart}:${serverName}` },
      destination: web ? { host: url.host } : { scheme: url.protocol.slice(0, -1) },
      insecure: url.protocol === 'http:' && !isLoopback(url.hostname),
    }
    pages.render(ctx, 'sso-consent', data, { formActions: [formActionOf(url.href)] })
  })

  router.post(`/${PAGE}`, async (ctx) => {
    const { url, own } = targetOf(ctx)
    const form = await pages.readForm(ctx)
    const action = form.fields.get('action')
    if (action === 'cancel') return pages.render(ctx, 'link-done', { outcome: 'denied' })
    if (action === 'switch') return seeOther(ctx, `${loginUrl(basePath, own)}&switch=1`)
    const current = await requireSignIn(ctx)
    if (!current) return
    if (action !== 'continue') return seeOther(ctx, own)
    if (!(await mayEnter(ctx, current, own))) return
    const token = randomBase62(32)
    const now = clock.now()
    await insertLoginToken(db, {
      hash: hashSecret(token),
      userId: current.user.id,
      browserSessionId: current.session.id,
      createdAt: now,
      expiresAt: new Date(now.getTime() + LOGIN_TOKEN_SECONDS * 1000),
    })
    await recordAudit(db, now, {
      event: 'sso.approved',
      actor: 'user',
      actorUserId: current.user.id,
      userId: current.user.id,
      ip: ctx.state.ip as string,
      userAgent: ctx.get('User-Agent') || undefined,
      details: { destination: url.host || url.protocol },
    })
    ctx.set('Cache-Control', 'no-store')
    seeOther(ctx, withLoginToken(url, token))
  })
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
}

/** Never 307: it would repeat the POST at the next address (RFC 9700 §4.12). */
function seeOther(ctx: Context, url: string): void {
  ctx.redirect(url)
  ctx.status = 303
}
