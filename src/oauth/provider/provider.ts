import type { JWK } from 'jose'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import Provider, {
  type Configuration,
  errors,
  interactionPolicy,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import type { SessionLimits } from '../../sessions/session-limit.ts'
import { findUserById, type User } from '../../users/store.ts'
import { ASSERTION_ALGORITHMS } from '../clients/client-keys.ts'
import { findClient } from '../clients/store.ts'
import { assertAllowedFor, assertClientMayAsk } from '../scope-policy.ts'
import {
  API_SCOPE,
  InvalidScopeError,
  MAS_ADMIN_SCOPE,
  parseScope,
  SYNAPSE_ADMIN_SCOPE,
  UNSTABLE_API_SCOPE,
} from '../scopes.ts'
import { createAdapter } from './adapter.ts'
import { patchProvider, type SignedIn } from './patches.ts'
import { type GrantGate, policyChecks } from './policy-checks.ts'

export interface ProviderDeps {
  db: Knex
  gate: GrantGate
  sessionLimit: Pick<SessionLimits, 'choice'>
  clock: Clock
  issuer: string
  signingKeys: JWK[]
  cookieKeys: string[]
  /** Names and attributes of the library's own cookies. */
  cookies: { interaction: string; resume: string; secure: boolean }
  /** Where the sign-in and consent page of an interaction is. */
  interactionUrl: (uid: string) => string
  /** What our own endpoints add to the metadata. */
  metadata: Record<string, unknown>
  signedIn: (ctx: Context) => Promise<SignedIn | undefined>
  renderError: (ctx: Context, out: { error: string; error_description?: string }) => void | Promise<void>
}

/** RFC 9700 §2.1.1 and ASVS 10.4.3: a code is exchanged at once or not at all. */
export const CODE_TTL_SECONDS = 60
export const INTERACTION_TTL_SECONDS = 3600

/** The longest that an assertion may be good for, in seconds. */
const MAX_ASSERTION_SECONDS = 24 * 3600

/**
 * RFC 7523 §3 lets a server refuse assertions whose end is unreasonably far away. Each is remembered until then, so
 * that it works once: without a limit one client could fill the table for ever, or name a time that no date has.
 */
function assertShortLived(exp: unknown, now: Date): void {
  const left = Number(exp) - now.getTime() / 1000
  if (!(left <= MAX_ASSERTION_SECONDS))
    throw new errors.InvalidClientAuth('the assertion is good for more than a day')
}

/** Throws the library's error for a scope that may not be had, with our words as its description. */
async function checkScope(db: Knex, ctx: KoaContextWithOIDC): Promise<void> {
  const client = await findClient(db, ctx.oidc.client?.clientId ?? '')
  if (!client) throw new errors.InvalidClient('The client was removed', 'client not found')
  try {
    const scope = parseScope(String(ctx.oidc.params?.scope ?? ''))
    if (scope.requested === '') throw new InvalidScopeError("the scope must name something, such as 'openid'")
    assertClientMayAsk(scope, client)
    const user = ctx.oidc.account && (await findUserById(db, ctx.oidc.account.accountId))
    if (user) assertAllowedFor(user, scope, client)
  } catch (error) {
    if (error instanceof InvalidScopeError)
      throw new errors.InvalidScope(error.message, String(ctx.oidc.params?.scope))
    throw error
  }
}

function policy({ db, gate, sessionLimit }: Pick<ProviderDeps, 'db' | 'gate' | 'sessionLimit'>) {
  const prompts = interactionPolicy.base()
  const login = prompts.get('login')
  const { Check, Prompt } = interactionPolicy
  // First of all checks, so that a scope is refused before anyone signs in for it.
  login?.checks.add(
    new Check('scope_policy', 'The scope is not allowed', async (ctx) => {
      await checkScope(db, ctx)
      return Check.NO_NEED_TO_PROMPT
    }),
    0,
  )
  for (const check of policyChecks(db, gate, sessionLimit)) login?.checks.add(check)
  // Consent is asked for each authorization: its scope names a new device. An operator may skip it for named
  // clients, native ones too, which `loadExistingGrant` does.
  prompts.get('consent')?.checks.remove('native_client_prompt')
  // Choosing among accounts comes after the sign-in, and signing up is signing in as long as nobody can sign up.
  prompts.add(new Prompt({ name: 'select_account', requestable: true }), 1)
  prompts.add(new Prompt({ name: 'create', requestable: true }), 1)
  return prompts
}

async function loadGrant(provider: Provider, db: Knex, ctx: KoaContextWithOIDC) {
  const grantId = ctx.oidc.result?.consent?.grantId
  if (grantId) return provider.Grant.find(grantId)
  const client = await findClient(db, ctx.oidc.client?.clientId ?? '')
  if (!client?.metadata.skip_consent || !ctx.oidc.account || ctx.oidc.client === undefined) return undefined
  const grant = new provider.Grant({ accountId: ctx.oidc.account.accountId, clientId: client.clientId })
  grant.addOIDCScope(String(ctx.oidc.params?.scope ?? ''))
  await grant.save()
  return grant
}

/** The claims of a user: `email` comes with its scope where the user has a confirmed address. */
export function claimsOf(user: User, email: string | undefined): { sub: string; [claim: string]: unknown } {
  return {
    sub: user.id,
    username: user.localpart,
    preferred_username: user.localpart,
    ...(email === undefined ? {} : { email, email_verified: true }),
  }
}

/**
 * The OpenID Provider: authorization endpoint and interactions, client authentication, discovery, id_tokens and
 * keys. All that has to do with tokens is ours (docs/architecture.md says why).
 */
export function createProvider(deps: ProviderDeps): Provider {
  const { db, clock, issuer, signingKeys, cookieKeys, cookies, interactionUrl, metadata } = deps
  const cookieOptions = { httpOnly: true, sameSite: 'lax', secure: cookies.secure, overwrite: true } as const
  const configuration: Configuration = {
    adapter: createAdapter({ db, clock }),
    jwks: { keys: signingKeys as never },
    responseTypes: ['code'],
    scopes: ['openid', 'email', API_SCOPE, UNSTABLE_API_SCOPE, SYNAPSE_ADMIN_SCOPE, MAS_ADMIN_SCOPE],
    claims: { openid: ['sub', 'username', 'preferred_username'], email: ['email', 'email_verified'] },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'ES256'],
      clientAuthSigningAlgValues: [...ASSERTION_ALGORITHMS],
    },
    assertJwtClientAuthClaimsAndHeader: (_ctx, claims) => assertShortLived(claims.exp, clock.now()),
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    acceptQueryParamAccessTokens: false,
    clientBasedCORS: () => true,
    interactions: {
      url: (_ctx, interaction) => interactionUrl(interaction.uid),
      policy: policy(deps),
    },
    routes: {
      authorization: '/authorize',
      token: '/oauth2/token',
      jwks: '/oauth2/keys.json',
      end_session: '/oauth2/logout',
      pushed_authorization_request: '/oauth2/par',
    },
    cookies: {
      keys: cookieKeys,
      names: { interaction: cookies.interaction, resume: cookies.resume, session: 'unused' },
      short: { ...cookieOptions, signed: true },
      long: { ...cookieOptions, signed: true },
    },
    ttl: {
      AuthorizationCode: CODE_TTL_SECONDS,
      Grant: INTERACTION_TTL_SECONDS,
      Interaction: INTERACTION_TTL_SECONDS,
      IdToken: 3600,
      Session: INTERACTION_TTL_SECONDS,
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      // RFC 9126: redirect URIs stay those that were registered, for confidential clients too.
      pushedAuthorizationRequests: { enabled: true, allowUnregisteredRedirectUris: false },
      resourceIndicators: { enabled: false },
      dPoP: { enabled: false },
      claimsParameter: { enabled: false },
    },
    discovery: metadata as NonNullable<Configuration['discovery']>,
    findAccount: async (_ctx, id) => {
      const user = await findUserById(db, id)
      if (!user || user.deactivatedAt || user.lockedAt) return undefined
      return { accountId: user.id, claims: () => claimsOf(user, undefined) }
    },
    loadExistingGrant: (ctx) => loadGrant(provider, db, ctx),
    renderError: (ctx, out) => deps.renderError(ctx, out as { error: string; error_description?: string }),
  }
  const provider: Provider = new Provider(issuer, configuration)
  provider.proxy = true
  patchProvider(provider, deps.signedIn)
  return provider
}
