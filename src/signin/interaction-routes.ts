import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { assertAllowedFor } from '../oauth/scope-policy.ts'
import { InvalidScopeError } from '../oauth/scopes.ts'
import type { PolicyGate } from '../policy/gate.ts'
import { PolicyDeniedError, type Settled } from '../policy/refusal.ts'
import { CsrfError } from '../server/csrf.ts'
import { formActionOf, type Pages, type PostedForm } from '../server/pages.ts'
import type { SessionLimits } from '../sessions/session-limit.ts'
import type { User } from '../users/store.ts'
import type { Browser, Current } from './browser.ts'
import { clientSummary, scopeWords } from './client-summary.ts'
import { deviceSummary } from './device-summary.ts'
import { type Interaction, loadInteraction, nextStep, usernameFromHint } from './interaction.ts'
import { sessionLimitUrl } from './session-limit-routes.ts'
import type { SignInAgain, SignInForm } from './sign-in-form.ts'

export interface InteractionDeps {
  db: Knex
  clock: Clock
  provider: () => Provider
  pages: Pages
  browser: Browser
  signIn: SignInForm
  serverName: string
  basePath: string
  gate: Pick<PolicyGate, 'grant'>
  sessionLimit: Pick<SessionLimits, 'choice'>
}

type Result = Parameters<Provider['interactionResult']>[2]

/** The page of an authorization request: sign in, then consent, then back to the app. */
export function addInteractionRoutes(router: Router, deps: InteractionDeps): void {
  const { db, clock, provider, pages, browser, signIn, serverName, basePath, gate, sessionLimit } = deps
  const urlOf = (interaction: Interaction) => `${basePath}interaction/${interaction.uid}`
  const mxid = (user: User) => `@${user.localpart}:${serverName}`
  const formActions = (interaction: Interaction) => [formActionOf(interaction.redirectUri)]

  async function finish(ctx: Context, result: Result): Promise<void> {
    ctx.redirect(await provider().interactionResult(ctx.req, ctx.res, result))
    // Never 307: it would repeat the POST, password included, at the next address (RFC 9700 §4.12).
    ctx.status = 303
  }

  async function showSignIn(
    ctx: Context,
    interaction: Interaction,
    { again, reauthenticate }: { again?: SignInAgain; reauthenticate?: Current | undefined } = {},
  ): Promise<void> {
    const locale = pages.locale(ctx, interaction.uiLocales)
    const switching = ctx.query.switch === '1' ? '?switch=1' : ''
    if (again?.retryAfterSeconds) ctx.set('Retry-After', String(again.retryAfterSeconds))
    const data = {
      form: await pages.form(ctx, `${urlOf(interaction)}${switching}`),
      username: again?.username ?? usernameFromHint(interaction.loginHint, serverName),
      errors: again?.errors,
      refused: again?.refused,
      notice: again?.notice ?? (reauthenticate ? ('reauthenticate' as const) : undefined),
      client: clientSummary(interaction.client, locale, interaction.redirectUri),
      reauthenticateAs: reauthenticate && { mxid: mxid(reauthenticate.user) },
      cancel: true,
    }
    const options = { status: again?.status ?? 200, formActions: formActions(interaction) }
    pages.render(ctx, 'sign-in', data, { ...options, uiLocales: interaction.uiLocales })
  }

  async function showChoice(ctx: Context, interaction: Interaction, user: User): Promise<void> {
    const data = {
      form: await pages.form(ctx, urlOf(interaction)),
      user: { mxid: mxid(user) },
      client: clientSummary(
        interaction.client,
        pages.locale(ctx, interaction.uiLocales),
        interaction.redirectUri,
      ),
    }
    pages.render(ctx, 'choose-account', data, { uiLocales: interaction.uiLocales })
  }

  /** Whether the person has still to say which account it is to be. */
  const mustChoose = (ctx: Context, interaction: Interaction) =>
    interaction.chooseAccount && ctx.query.chosen !== '1'

  async function showConsent(ctx: Context, interaction: Interaction, user: User): Promise<void> {
    const locale = pages.locale(ctx, interaction.uiLocales)
    const data = {
      form: await pages.form(ctx, `${urlOf(interaction)}${interaction.chooseAccount ? '?chosen=1' : ''}`),
      client: clientSummary(interaction.client, locale, interaction.redirectUri),
      user: { mxid: mxid(user) },
      device: await deviceSummary(db, { scope: interaction.scope, client: interaction.client, user, locale }),
      scopes: scopeWords(interaction.scope),
    }
    pages.render(ctx, 'consent', data, {
      formActions: formActions(interaction),
      uiLocales: interaction.uiLocales,
    })
  }

  /** What the operator's rules say to this person and this app, or why not. */
  function settled(ctx: Context, interaction: Interaction, current: Current): Settled | PolicyDeniedError {
    const { user, session } = current
    const origin = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') }
    const by = { user, authenticatedAt: session.authenticatedAt }
    try {
      return gate.grant('authorization_code', interaction.client, interaction.scope, origin, by)
    } catch (error) {
      if (error instanceof PolicyDeniedError) return error
      throw error
    }
  }

  async function showDenied(
    ctx: Context,
    interaction: Interaction,
    { user }: Current,
    denied: PolicyDeniedError,
  ): Promise<void> {
    const locale = pages.locale(ctx, interaction.uiLocales)
    const data = {
      form: await pages.form(ctx, urlOf(interaction)),
      user: { mxid: mxid(user) },
      client: clientSummary(interaction.client, locale, interaction.redirectUri),
      message: denied.words,
    }
    const { uiLocales } = interaction
    pages.render(ctx, 'policy-denied', data, {
      status: 403,
      formActions: formActions(interaction),
      uiLocales,
    })
  }

  /** Whether one more session is within the limit; otherwise the person chooses what ends, and comes back. */
  async function hasRoom(ctx: Context, interaction: Interaction, { user }: Current): Promise<boolean> {
    const newcomer = { kind: 'oauth', deviceId: interaction.scope.deviceId ?? null } as const
    if (!(await sessionLimit.choice({ user, ...newcomer }))) return true
    const own = `${urlOf(interaction)}${interaction.chooseAccount ? '?chosen=1' : ''}`
    ctx.redirect(sessionLimitUrl(basePath, own, newcomer))
    ctx.status = 303
    return false
  }

  /** Whether the rules let it go on; otherwise the page that says no or asks for the password has been shown. */
  async function passesRules(ctx: Context, interaction: Interaction, current: Current): Promise<boolean> {
    const said = settled(ctx, interaction, current)
    if (said === 'allow') return hasRoom(ctx, interaction, current)
    if (said === 'reauthenticate') await showSignIn(ctx, interaction, { reauthenticate: current })
    else await showDenied(ctx, interaction, current, said)
    return false
  }

  /** Who has to show that it is still them: because the app wants it, or a rule of the operator. */
  function mustReauthenticate(ctx: Context, interaction: Interaction, current: Current | undefined): boolean {
    if (!current || ctx.query.switch === '1') return false
    const step = nextStep(interaction, current)
    return (
      step === 'reauthenticate' ||
      (step === 'consent' && settled(ctx, interaction, current) === 'reauthenticate')
    )
  }

  /** What the library needs to know of whoever is signed in. */
  function loginOf({ session, user }: Current): Result {
    const ts = Math.floor(session.authenticatedAt.getTime() / 1000)
    return { login: { accountId: user.id, ts, remember: true }, create: {}, select_account: {} }
  }

  /** The consent page, or straight back to the app where the operator skips it or the user may not. */
  async function consentOrFinish(ctx: Context, interaction: Interaction, current: Current): Promise<void> {
    try {
      assertAllowedFor(current.user, interaction.scope, interaction.client)
    } catch (error) {
      if (!(error instanceof InvalidScopeError)) throw error
      return finish(ctx, { error: 'invalid_scope', error_description: error.message })
    }
    if (!(await passesRules(ctx, interaction, current))) return
    const skip = interaction.client.metadata.skip_consent && !interaction.consentAsked
    if (skip) return finish(ctx, loginOf(current))
    return showConsent(ctx, interaction, current.user)
  }

  async function approve(ctx: Context, interaction: Interaction, current: Current): Promise<void> {
    assertAllowedFor(current.user, interaction.scope, interaction.client)
    if (!(await passesRules(ctx, interaction, current))) return
    const Grant = provider().Grant
    const grant = new Grant({ accountId: current.user.id, clientId: interaction.client.clientId })
    grant.addOIDCScope(interaction.scope.requested)
    const grantId = await grant.save()
    await recordAudit(db, clock.now(), {
      event: 'consent.given',
      actor: 'user',
      actorUserId: current.user.id,
      userId: current.user.id,
      clientId: interaction.client.clientId,
      ip: ctx.state.ip,
      details: { scope: interaction.scope.requested },
    })
    await finish(ctx, { ...loginOf(current), consent: { grantId } })
  }

  async function attemptSignIn(ctx: Context, interaction: Interaction, form: PostedForm): Promise<void> {
    const current = await browser.current(ctx)
    const reauthenticate = mustReauthenticate(ctx, interaction, current) ? current : undefined
    const result = await signIn(ctx, form, reauthenticate?.user.localpart)
    if ('again' in result) return showSignIn(ctx, interaction, { again: result.again, reauthenticate })
    // Whoever has just typed a name has chosen.
    ctx.redirect(`${urlOf(interaction)}${interaction.chooseAccount ? '?chosen=1' : ''}`)
    ctx.status = 303
  }

  router.get('/interaction/:uid', async (ctx) => {
    const interaction = await loadInteraction(ctx, provider(), db)
    const current = await browser.current(ctx)
    const step = ctx.query.switch === '1' ? 'sign-in' : nextStep(interaction, current)
    if (step === 'reauthenticate') return showSignIn(ctx, interaction, { reauthenticate: current })
    if (step === 'sign-in' || !current) return showSignIn(ctx, interaction)
    if (mustChoose(ctx, interaction)) return showChoice(ctx, interaction, current.user)
    return consentOrFinish(ctx, interaction, current)
  })

  router.post('/interaction/:uid', async (ctx) => {
    const interaction = await loadInteraction(ctx, provider(), db)
    const form = await pages.readForm(ctx, { signIn: true })
    const action = form.fields.get('action')
    if (action === undefined) return attemptSignIn(ctx, interaction, form)
    const current = await browser.current(ctx)
    if (form.anonymous && current && action !== 'cancel') throw new CsrfError('shown before the sign-in')
    if (action === 'cancel')
      return finish(ctx, { error: 'access_denied', error_description: 'The user said no' })
    const ready = action === 'continue' && current && nextStep(interaction, current) === 'consent'
    if (ready && !mustChoose(ctx, interaction)) return approve(ctx, interaction, current)
    const next = action === 'switch' ? '?switch=1' : ready ? '?chosen=1' : ''
    ctx.redirect(`${urlOf(interaction)}${next}`)
    ctx.status = 303
  })
}
