import { PosternError } from '../errors.ts'
import type { Message, Words } from '../views/index.ts'
import type { Decision } from './evaluate.ts'

/** What older apps are told where the rule has no words of its own; the ecosystem's apps know this text. */
const DENIED = 'Login denied by the policy enforced by this service'

/** A rule of the operator refuses. Its message is meant for whoever asked. */
export class PolicyDeniedError extends PosternError {
  /** The same for a page: the rule's own words, or ours in the person's language. */
  readonly words: Words
  /** Who was refused, for the audit table. */
  readonly userId: string | undefined

  constructor({ outcome, message }: Pick<Decision, 'outcome' | 'message'>, userId?: string) {
    const ours: Message = outcome === 'require_mfa' ? 'policy.require_mfa' : 'policy.denied'
    const standard =
      outcome === 'require_mfa' ? 'A second factor is needed, and there are none here yet' : DENIED
    super('policy_denied', message ?? standard, { status: 403 })
    this.words = message === undefined ? ours : { text: message }
    this.userId = userId
  }
}

/** How long a password that was given counts as given just now, in seconds. */
const FRESH_SECONDS = 300

export type Settled = 'allow' | 'reauthenticate'

/**
 * What a decision comes to, where somebody can be asked for their password.
 * @param authAge seconds since the password was given
 * @throws PolicyDeniedError also for `require_mfa`: letting pass what cannot be shown would be no rule at all
 */
export function settle(decision: Decision, authAge: number, userId?: string): Settled {
  const { outcome } = decision
  if (outcome === 'deny' || outcome === 'require_mfa') throw new PolicyDeniedError(decision, userId)
  return outcome === 'reauthenticate' && authAge > FRESH_SECONDS ? 'reauthenticate' : 'allow'
}
