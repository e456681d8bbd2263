import type { Context } from 'koa'
import type { PolicyGate } from '../policy/gate.ts'
import { PolicyDeniedError, type Settled } from '../policy/refusal.ts'
import type { SessionLimits } from '../sessions/session-limit.ts'
import type { Current } from './browser.ts'
import type { Interaction } from './interaction.ts'
import { sessionLimitUrl } from './session-limit-routes.ts'

export interface InteractionRulesDeps {
  gate: Pick<PolicyGate, 'grant'>
  sessionLimit: Pick<SessionLimits, 'choice'>
  basePath: string
}

/** Where the operator's rules send a person: on, to give their password, elsewhere first, or away. */
export type RuledStep = 'allow' | 'reauthenticate' | { goTo: string } | { denied: PolicyDeniedError }

/** What the operator's rules say of an authorization request and whoever is signed in. */
export function createInteractionRules({ gate, sessionLimit, basePath }: InteractionRulesDeps) {
  function settled(ctx: Context, { client, scope }: Interaction, { user, session }: Current): Settled {
    const origin = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') }
    const by = { user, authenticatedAt: session.authenticatedAt }
    return gate.grant('authorization_code', client, scope, origin, by)
  }

  /** @param own the path of the page, to come back to */
  async function ruledStep(
    ctx: Context,
    interaction: Interaction,
    current: Current,
    own: string,
  ): Promise<RuledStep> {
    try {
      if (settled(ctx, interaction, current) === 'reauthenticate') return 'reauthenticate'
      const newcomer = { kind: 'oauth', deviceId: interaction.scope.deviceId ?? null } as const
      const choice = await sessionLimit.choice({ user: current.user, ...newcomer })
      return choice ? { goTo: sessionLimitUrl(basePath, own, newcomer) } : 'allow'
    } catch (error) {
      if (error instanceof PolicyDeniedError) return { denied: error }
      throw error
    }
  }

  return { ruledStep }
}
