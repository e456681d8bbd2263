import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { assertAllowedFor } from '../oauth/scope-policy.ts'
import { InvalidScopeError } from '../oauth/scopes.ts'
import { CsrfError } from '../server/csrf.ts'
import type { Pages, PostedForm } from '../server/pages.ts'
import type { Browser, Current } from './browser.ts'
import { type Interaction, loadInteraction, nextStep } from './interaction.ts'
import { createInteractionPages, type InteractionPagesDeps } from './interaction-pages.ts'
import { createInteractionRules, type InteractionRulesDeps } from './interaction-rules.ts'
import type { SignInForm } from './sign-in-form.ts'

export interface InteractionDeps extends InteractionRulesDeps, InteractionPagesDeps {
  db: Knex
  clock: Clock
  provider: () => Provider
  pages: Pages
  browser: Browser
  signIn: SignInForm
}

type Result = Parameters<Provider['interactionResult']>[2]

/** The page of an authorization request: sign in, then consent, then back to the app. */
export function addInteractionRoutes(router: Router, deps: InteractionDeps): void {
  const { db, clock, provider, pages, browser, signIn } = deps
  const { ruledStep } = createInteractionRules(deps)
  const show = createInteractionPages(deps)
  const { ownUrl } = show

  async function finish(ctx: Context, result: Result): Promise<void> {
    ctx.redirect(await provider().interactionResult(ctx.req, ctx.res, result))
    // Never 307: it would repeat the POST, password included, at the next address (RFC 9700 §4.12).
    ctx.status = 303
  }

  /** Whether the person has still to say which account it is to be. */
  const mustChoose = (ctx: Context, interaction: Interaction) =>
    interaction.chooseAccount && ctx.query.chosen !== '1'

  /** Whether the rules let it go on; otherwise the page that says no or asks for the password has been shown. */
  async function passesRules(ctx: Context, interaction: Interaction, current: Current): Promise<boolean> {
    const step = await ruledStep(ctx, interaction, current, ownUrl(interaction))
    if (step === 'allow') return true
    if (step === 'reauthenticate') await show.signIn(ctx, interaction, { reauthenticate: current })
    else if ('denied' in step) await show.denied(ctx, interaction, current, step.denied)
    else {
      ctx.redirect(step.goTo)
      ctx.status = 303
    }
    return false
  }

  /** Who has to show that it is still them: because the app wants it, or a rule of the operator. */
  async function mustReauthenticate(
    ctx: Context,
    interaction: Interaction,
    current: Current,
  ): Promise<boolean> {
    if (ctx.query.switch === '1') return false
    const step = nextStep(interaction, current)
    if (step !== 'consent') return step === 'reauthenticate'
    return (await ruledStep(ctx, interaction, current, ownUrl(interaction))) === 'reauthenticate'
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
    return show.consent(ctx, interaction, current.user)
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
    const again = current !== undefined && (await mustReauthenticate(ctx, interaction, current))
    const reauthenticate = again ? current : undefined
    const result = await signIn(ctx, form, reauthenticate?.user.localpart)
    if ('again' in result) return show.signIn(ctx, interaction, { again: result.again, reauthenticate })
    // Whoever has just typed a name has chosen.
    ctx.redirect(ownUrl(interaction))
    ctx.status = 303
  }

  router.get('/interaction/:uid', async (ctx) => {
    const interaction = await loadInteraction(ctx, provider(), db)
    const current = await browser.current(ctx)
    const step = ctx.query.switch === '1' ? 'sign-in' : nextStep(interaction, current)
    if (step === 'reauthenticate') return show.signIn(ctx, interaction, { reauthenticate: current })
    if (step === 'sign-in' || !current) return show.signIn(ctx, interaction)
    if (mustChoose(ctx, interaction)) return show.choice(ctx, interaction, current.user)
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
    ctx.redirect(`${show.urlOf(interaction)}${next}`)
    ctx.status = 303
  })
}
