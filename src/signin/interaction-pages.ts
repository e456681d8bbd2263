import type { Knex } from 'knex'
import type { Context } from 'koa'
import type { PolicyDeniedError } from '../policy/refusal.ts'
import { formActionOf, type Pages } from '../server/pages.ts'
import type { User } from '../users/store.ts'
import type { Current } from './browser.ts'
import { clientSummary, scopeWords } from './client-summary.ts'
import { deviceSummary } from './device-summary.ts'
import { type Interaction, usernameFromHint } from './interaction.ts'
import type { SignInAgain } from './sign-in-form.ts'

export interface InteractionPagesDeps {
  db: Knex
  pages: Pages
  serverName: string
  basePath: string
}

/** The pages that an authorization request shows. */
export function createInteractionPages({ db, pages, serverName, basePath }: InteractionPagesDeps) {
  const urlOf = (interaction: Interaction) => `${basePath}interaction/${interaction.uid}`
  const mxid = (user: User) => `@${user.localpart}:${serverName}`
  const formActions = (interaction: Interaction) => [formActionOf(interaction.redirectUri)]

  /** Where a page that leads away from here comes back to. */
  const ownUrl = (interaction: Interaction) =>
    `${urlOf(interaction)}${interaction.chooseAccount ? '?chosen=1' : ''}`

  async function signIn(
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

  async function choice(ctx: Context, interaction: Interaction, user: User): Promise<void> {
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

  async function consent(ctx: Context, interaction: Interaction, user: User): Promise<void> {
    const locale = pages.locale(ctx, interaction.uiLocales)
    const data = {
      form: await pages.form(ctx, ownUrl(interaction)),
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

  async function denied(
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

  return { urlOf, ownUrl, signIn, choice, consent, denied }
}
