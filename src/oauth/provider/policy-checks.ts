import type { Knex } from 'knex'
import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import type { PolicyGate } from '../../policy/gate.ts'
import { PolicyDeniedError, type Settled } from '../../policy/refusal.ts'
import type { SessionLimits } from '../../sessions/session-limit.ts'
import { findUserById } from '../../users/store.ts'
import { findClient } from '../clients/store.ts'
import { InvalidScopeError, parseScope } from '../scopes.ts'

export type GrantGate = Pick<PolicyGate, 'grant'>

type Answer = Settled | 'deny' | 'no_room'

async function ask(
  db: Knex,
  gate: GrantGate,
  sessionLimit: Pick<SessionLimits, 'choice'>,
  ctx: KoaContextWithOIDC,
): Promise<Answer> {
  const { account, client: asking, params, session } = ctx.oidc
  // Nobody has signed in yet: the page asks again once somebody has.
  if (!account) return 'allow'
  const user = await findUserById(db, account.accountId)
  const client = await findClient(db, asking?.clientId ?? '')
  if (!user || !client) return 'allow'
  const authenticatedAt = new Date((session?.authTime() ?? 0) * 1000)
  const origin = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') }
  try {
    const scope = parseScope(String(params?.scope ?? ''))
    const settled = gate.grant('authorization_code', client, scope, origin, { user, authenticatedAt })
    if (settled !== 'allow') return settled
    const newcomer = { user, kind: 'oauth', deviceId: scope.deviceId ?? null } as const
    return (await sessionLimit.choice(newcomer)) ? 'no_room' : 'allow'
  } catch (error) {
    if (error instanceof PolicyDeniedError) return 'deny'
    // The check of the scope, which runs beside this one, refuses it in the protocol's words.
    if (error instanceof InvalidScopeError) return 'allow'
    throw error
  }
}

/**
 * The operator's rules where the library decides whether a code is given: nothing that goes past our pages (a client
 * without consent, a resumed request) goes past the rules. What they refuse or want again, our page tells and asks;
 * a request with `prompt=none` gets the error.
 */
export function policyChecks(
  db: Knex,
  gate: GrantGate,
  sessionLimit: Pick<SessionLimits, 'choice'>,
): interactionPolicy.Check[] {
  const { Check } = interactionPolicy
  const once = (ctx: KoaContextWithOIDC): Promise<Answer> => {
    ctx.state.policySettled ??= ask(db, gate, sessionLimit, ctx)
    return ctx.state.policySettled as Promise<Answer>
  }
  return [
    new Check('policy_denied', 'A rule of the operator does not allow it', 'access_denied', async (ctx) => {
      return (await once(ctx)) === 'deny' ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
    }),
    new Check('policy_password', 'The password is needed once more', 'login_required', async (ctx) => {
      return (await once(ctx)) === 'reauthenticate' ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
    }),
    new Check('session_limit', 'There are too many sessions already', 'interaction_required', async (ctx) => {
      return (await once(ctx)) === 'no_room' ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
    }),
  ]
}
