import type { Knex } from 'knex'
import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import type { PolicyGate } from '../../policy/gate.ts'
import { PolicyDeniedError, type Settled } from '../../policy/refusal.ts'
import { findUserById } from '../../users/store.ts'
import { findClient } from '../clients/store.ts'
import { parseScope } from '../scopes.ts'

export type GrantGate = Pick<PolicyGate, 'grant'>

async function ask(db: Knex, gate: GrantGate, ctx: KoaContextWithOIDC): Promise<Settled | 'deny'> {
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
    return gate.grant('authorization_code', client, scope, origin, { user, authenticatedAt })
  } catch (error) {
    if (error instanceof PolicyDeniedError) return 'deny'
    throw error
  }
}

/**
 * The operator's rules where the library decides whether a code is given: nothing that goes past our pages (a client
 * without consent, a resumed request) goes past the rules. What they refuse or want again, our page tells and asks;
 * a request with `prompt=none` gets the error.
 */
export function policyChecks(db: Knex, gate: GrantGate): interactionPolicy.Check[] {
  const { Check } = interactionPolicy
  const once = (ctx: KoaContextWithOIDC): Promise<Settled | 'deny'> => {
    ctx.state.policySettled ??= ask(db, gate, ctx)
    return ctx.state.policySettled as Promise<Settled | 'deny'>
  }
  return [
    new Check('policy_denied', 'A rule of the operator does not allow it', 'access_denied', async (ctx) => {
      return (await once(ctx)) === 'deny' ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
    }),
    new Check('policy_password', 'The password is needed once more', 'login_required', async (ctx) => {
      return (await once(ctx)) === 'reauthenticate' ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
    }),
  ]
}
