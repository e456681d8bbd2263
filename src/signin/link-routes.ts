import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { LimitedError } from '../errors.ts'
import type { Limits } from '../limits/limits.ts'
import type { Client } from '../oauth/clients/clients.ts'
import { findClient } from '../oauth/clients/store.ts'
import { type DeviceRequest, decide, findPendingByUserCode } from '../oauth/device/store.ts'
import { hashUserCode, readUserCode, showUserCode } from '../oauth/device/user-code.ts'
import { assertAllowedFor } from '../oauth/scope-policy.ts'
import { InvalidScopeError, parseScope } from '../oauth/scopes.ts'
import type { PolicyGate } from '../policy/gate.ts'
import { PolicyDeniedError } from '../policy/refusal.ts'
import type { Pages } from '../server/pages.ts'
import type { SessionLimits } from '../sessions/session-limit.ts'
import type { Message } from '../views/index.ts'
import type { Current } from './browser.ts'
import { clientSummary, scopeWords } from './client-summary.ts'
import { deviceSummary } from './device-summary.ts'
import { loginUrl, type RequireSignIn } from './login-routes.ts'
import { reauthenticateUrl } from './reauthenticate-routes.ts'
import { sessionLimitUrl } from './session-limit-routes.ts'

export interface LinkDeps {
  db: Knex
  clock: Clock
  pages: Pages
  limits: Limits
  requireSignIn: RequireSignIn
  userCodeKey: Buffer
  serverName: string
  basePath: string
  gate: Pick<PolicyGate, 'grant'>
  sessionLimit: Pick<SessionLimits, 'choice'>
}

/** A request that waits for this person's decision. */
interface Waiting {
  code: string
  request: DeviceRequest
  client: Client
}

/**
 * The page where a person types the code that their other device shows, and lets that device in. The code itself
 * stands in the address of the next page: it is short-lived, and worth nothing without signing in and pressing a
 * button (RFC 8628 §3.3, §5.4).
 */
export function addLinkRoutes(router: Router, deps: LinkDeps): void {
  const { db, clock, pages, limits, requireSignIn, userCodeKey, serverName, basePath, gate, sessionLimit } =
    deps
  const confirmUrl = (code: string) => `${basePath}link/${showUserCode(code)}`

  async function showEntry(ctx: Context, typed: string, error?: Message, status = 400): Promise<void> {
    const form = await pages.form(ctx, `${basePath}link`)
    const errors = error ? { user_code: error } : undefined
    pages.render(ctx, 'link', { form, userCode: typed, errors }, { status: error ? status : 200 })
  }

  /** Every look at a code counts as a guess until it is right, whichever page it is made on (check 40). */
  async function findWaiting(ctx: Context, typed: string): Promise<Waiting | undefined> {
    const code = readUserCode(typed)
    if (!code) return undefined
    const attempt = await limits.userCode.begin(ctx.state.ip)
    const request = await findPendingByUserCode(db, hashUserCode(userCodeKey, code), clock.now())
    const client = request && (await findClient(db, request.clientId))
    if (!request || !client) return undefined
    await attempt.giveBack()
    return { code, request, client }
  }

  async function waitingOrEntry(ctx: Context, typed: string): Promise<Waiting | undefined> {
    try {
      const waiting = await findWaiting(ctx, typed)
      if (!waiting)
        await showEntry(
          ctx,
          typed,
          readUserCode(typed) ? 'error.user_code_unknown' : 'error.user_code_invalid',
        )
      return waiting
    } catch (error) {
      if (!(error instanceof LimitedError)) throw error
      ctx.set('Retry-After', String(error.retryAfterSeconds))
      const count = Math.ceil(error.retryAfterSeconds / 60)
      await showEntry(ctx, typed, { key: 'error.too_many', params: { count } }, 429)
      return undefined
    }
  }

  /** Whether the operator's rules let it go on; otherwise the person is sent to do what they want first. @throws PolicyDeniedError */
  async function passesRules(
    ctx: Context,
    { code, request, client }: Waiting,
    { user, session }: Current,
  ): Promise<boolean> {
    // The person's own browser: the device that waits may be anywhere, and says so on this page.
    const origin = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') }
    const by = { user, authenticatedAt: session.authenticatedAt }
    const scope = parseScope(request.scope)
    const settled = gate.grant('device_code', client, scope, origin, by)
    const newcomer = { kind: 'oauth', deviceId: scope.deviceId ?? null } as const
    if (settled === 'allow' && !(await sessionLimit.choice({ user, ...newcomer }))) return true
    const here = confirmUrl(code)
    ctx.redirect(
      settled === 'allow' ? sessionLimitUrl(basePath, here, newcomer) : reauthenticateUrl(basePath, here),
    )
    ctx.status = 303
    return false
  }

  async function showConfirm(ctx: Context, waiting: Waiting, current: Current): Promise<void> {
    const { code, request, client } = waiting
    const { user } = current
    const scope = parseScope(request.scope)
    const locale = pages.locale(ctx)
    assertAllowedFor(user, scope, client)
    if (!(await passesRules(ctx, waiting, current))) return
    pages.render(ctx, 'link-confirm', {
      form: await pages.form(ctx, confirmUrl(code)),
      client: clientSummary(client, locale),
      user: { mxid: `@${user.localpart}:${serverName}` },
      device: await deviceSummary(db, { scope, client, user, locale }),
      scopes: scopeWords(scope),
      userCode: showUserCode(code),
      request: { at: request.createdAt, ip: request.ip, userAgent: request.userAgent },
    })
  }

  async function settle(
    ctx: Context,
    waiting: Waiting,
    current: Current,
    status: 'approved' | 'denied',
  ): Promise<boolean> {
    const { request, client } = waiting
    if (status === 'approved') assertAllowedFor(current.user, parseScope(request.scope), client)
    const now = clock.now()
    return db.transaction(async (trx) => {
      const { id: browserSessionId, authenticatedAt } = current.session
      const decision = {
        codeHash: request.codeHash,
        status,
        userId: current.user.id,
        browserSessionId,
        authenticatedAt,
        now,
      }
      if (!(await decide(trx, decision))) return false
      await recordAudit(trx, now, {
        event: `device.${status}`,
        actor: 'user',
        actorUserId: current.user.id,
        userId: current.user.id,
        clientId: client.clientId,
        ip: ctx.state.ip,
        details: { scope: request.scope, requested_from: request.ip },
      })
      return true
    })
  }

  router.get('/link', (ctx) =>
    showEntry(ctx, typeof ctx.query.user_code === 'string' ? ctx.query.user_code : ''),
  )

  router.post('/link', async (ctx) => {
    const { fields } = await pages.readForm(ctx)
    const waiting = await waitingOrEntry(ctx, fields.get('user_code') ?? '')
    if (!waiting) return
    ctx.redirect(confirmUrl(waiting.code))
    ctx.status = 303
  })

  router.get('/link/done/:outcome', (ctx) => {
    pages.render(ctx, 'link-done', { outcome: ctx.params.outcome === 'approved' ? 'approved' : 'denied' })
  })

  router.get('/link/:code', async (ctx) => {
    const current = await requireSignIn(ctx)
    const waiting = current && (await waitingOrEntry(ctx, String(ctx.params.code)))
    if (!current || !waiting) return
    try {
      await showConfirm(ctx, waiting, current)
    } catch (error) {
      // Nothing will come of it: the device need not wait until its code expires.
      if (!(error instanceof InvalidScopeError || error instanceof PolicyDeniedError)) throw error
      await settle(ctx, waiting, current, 'denied')
      throw error
    }
  })

  router.post('/link/:code', async (ctx) => {
    const { fields } = await pages.readForm(ctx)
    const current = await requireSignIn(ctx)
    if (!current) return
    const action = fields.get('action')
    if (action === 'switch') {
      ctx.redirect(
        `${loginUrl(basePath, `${basePath}link/${encodeURIComponent(String(ctx.params.code))}`)}&switch=1`,
      )
      ctx.status = 303
      return
    }
    const waiting = await waitingOrEntry(ctx, String(ctx.params.code))
    if (!waiting) return
    const status = action === 'approve' ? 'approved' : 'denied'
    if (status === 'approved' && !(await passesRules(ctx, waiting, current))) return
    const decided = await settle(ctx, waiting, current, status)
    if (!decided) return showEntry(ctx, '', 'error.user_code_unknown')
    ctx.redirect(`${basePath}link/done/${status}`)
    ctx.status = 303
  })
}
