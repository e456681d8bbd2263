import type { Knex } from 'knex'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { PosternError } from '../errors.ts'
import type { Client } from '../oauth/clients/clients.ts'
import { findClient } from '../oauth/clients/store.ts'
import { parseScope, type Scope } from '../oauth/scopes.ts'
import type { Current } from './browser.ts'

/** The authorization request that a page belongs to is gone: it took too long, or another browser has it. */
export class InteractionExpiredError extends PosternError {
  constructor(cause?: unknown) {
    super('interaction_expired', 'This sign-in has expired. Go back to the app and start again there', {
      cause,
    })
  }
}

/** An authorization request that waits for a person, as oidc-provider keeps it. */
export interface Interaction {
  uid: string
  client: Client
  scope: Scope
  redirectUri: string
  loginHint: string | undefined
  uiLocales: string | undefined
  /** The app asked for the consent page even where it could be skipped. */
  consentAsked: boolean
  /** The app asks which account it is to be (`prompt=select_account`). */
  chooseAccount: boolean
  /** Whoever signs in must have given their password since this time. */
  signInSince: Date | undefined
  /** The app expects this user (`id_token_hint`). */
  expectedUserId: string | undefined
}

interface Details {
  iat: number
  params: Record<string, unknown>
  prompt: { name: string; reasons: string[] }
}

function subOf(idTokenHint: unknown): string | undefined {
  // The library has verified the signature before it started the interaction.
  try {
    const payload = JSON.parse(
      Buffer.from(String(idTokenHint).split('.')[1] ?? '', 'base64url').toString('utf8'),
    )
    return typeof payload.sub === 'string' ? payload.sub : undefined
  } catch {
    return undefined
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/**
 * Loads the interaction that this request's cookie and path belong to.
 * @throws InteractionExpiredError
 */
export async function loadInteraction(ctx: Context, provider: Provider, db: Knex): Promise<Interaction> {
  const found = await provider.interactionDetails(ctx.req, ctx.res).catch((error: unknown) => {
    if (error instanceof Error && error.name === 'SessionNotFound') throw new InteractionExpiredError(error)
    throw error
  })
  const { iat, params, prompt } = found as unknown as Details
  const client = await findClient(db, String(params.client_id))
  if (!client) throw new InteractionExpiredError()
  const again =
    prompt.name === 'login' &&
    prompt.reasons.some((reason) => reason === 'login_prompt' || reason === 'max_age')
  return {
    uid: found.uid,
    client,
    scope: parseScope(String(params.scope ?? '')),
    redirectUri: String(params.redirect_uri),
    loginHint: text(params.login_hint),
    uiLocales: text(params.ui_locales),
    consentAsked: String(params.prompt ?? '')
      .split(' ')
      .includes('consent'),
    chooseAccount: prompt.name === 'select_account',
    signInSince: again ? new Date(iat * 1000) : undefined,
    expectedUserId: prompt.reasons.includes('id_token_hint') ? subOf(params.id_token_hint) : undefined,
  }
}

/** What the person has to do next. */
export type Step = 'sign-in' | 'reauthenticate' | 'consent'

/** Decides the next step from who is signed in with this browser now. */
export function nextStep(interaction: Interaction, current: Current | undefined): Step {
  if (!current || current.user.lockedAt) return 'sign-in'
  if (interaction.expectedUserId && interaction.expectedUserId !== current.user.id) return 'sign-in'
  const { signInSince } = interaction
  if (signInSince && current.session.authenticatedAt < signInSince) return 'reauthenticate'
  return 'consent'
}

/** The user name in a `login_hint`: a localpart, or `mxid:@user:server` (MSC4198) of this server. */
export function usernameFromHint(hint: string | undefined, serverName: string): string | undefined {
  if (!hint) return undefined
  const mxid = /^(?:mxid:)?@([^:]+):(.+)$/.exec(hint)
  if (mxid) return mxid[2] === serverName ? mxid[1] : undefined
  return hint.length <= 255 && !hint.includes(':') ? hint : undefined
}
