import type { Logger } from 'pino'
import { networksValue } from './environment.ts'
import { type Decision, evaluateRules } from './evaluate.ts'
import type { PolicyInput, PolicyKind } from './kinds.ts'
import { loadRules, type PolicySource } from './load.ts'

/** The operator's rules, asked at sign-ins, grants and registrations; never at introspection or refresh. */
export interface Policy {
  decide<Kind extends PolicyKind>(kind: Kind, input: PolicyInput<Kind>): Decision
  /**
   * Reads and checks rules, and returns what puts them in force: the whole set or, where anything is wrong with it,
   * none of it.
   * @throws PolicyError
   */
  prepareReload(source: PolicySource): Promise<() => void>
}

/** @throws PolicyError where the rules are wrong: the service must not start without them */
export async function createPolicy(source: PolicySource, log: Logger): Promise<Policy> {
  let inForce = { rules: await loadRules(source), networks: networksValue(source.networks) }

  return {
    decide(kind, input) {
      const decision = evaluateRules(inForce.rules, kind, input, inForce.networks)
      for (const { id, failure } of decision.violations) {
        if (failure !== undefined) log.error({ on: kind, rule: id, failure }, 'policy.rule_failed')
      }
      if (decision.outcome !== 'allow') {
        const rules = decision.violations.map(({ id }) => id)
        log.info({ on: kind, outcome: decision.outcome, rules }, 'policy.decided')
      }
      return decision
    },

    async prepareReload(fresh) {
      const rules = await loadRules(fresh)
      const networks = networksValue(fresh.networks)
      return () => {
        inForce = { rules, networks }
        log.info({ rules: rules.length }, 'policy.loaded')
      }
    },
  }
}
