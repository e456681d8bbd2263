import type { Network } from './functions.ts'
import {
  type Field,
  isField,
  OUTCOMES,
  type Outcome,
  type PolicyInput,
  type PolicyKind,
  variablesOf,
} from './kinds.ts'
import type { Rule, SessionLimit } from './rule-file.ts'
import { withinTimeLimit } from './time-limit.ts'

/** A rule that matched, or that failed and so denies. */
export interface Violation {
  id: string
  outcome: Outcome
  message: string | undefined
  /** Why the rule could not be evaluated. */
  failure: string | undefined
}

export interface Decision {
  /** The IDs of every rule that matched or failed, in the order of the files. */
  matched: readonly string[]
  outcome: 'allow' | Outcome
  /** The words of the first rule with the strongest outcome; undefined where that rule says nothing. */
  message: string | undefined
  violations: readonly Violation[]
  /** The strictest of all limits that matched. */
  limit: SessionLimit | undefined
}

const ALLOWED: Decision = {
  matched: [],
  outcome: 'allow',
  message: undefined,
  violations: [],
  limit: undefined,
}

/** The variable `networks`, built once when rules are loaded. */
export type NetworkValues = Readonly<Record<string, Network>>

/** More of anything than this is not looked at, and denies: conditions take as long as their input. */
const MAX_ITEMS = 64
const MAX_TEXT = 2048

/** Evaluates rules one by one. Never throws: a rule that fails denies (ASVS 5.0, V16.5.3). */
export function evaluateRules<Kind extends PolicyKind>(
  rules: readonly Rule[],
  kind: Kind,
  input: PolicyInput<Kind>,
  networks: NetworkValues,
): Decision {
  const own = rules.filter(({ on }) => on === kind)
  if (own.length === 0) return ALLOWED
  const context = contextOf(kind, input, networks)
  const violations: Violation[] = []
  const ids: string[] = []
  let limit: SessionLimit | undefined
  let looking: Rule | undefined
  const look = (rule: Rule) => {
    looking = rule
    const { id, outcome, message } = rule
    const matched = matches(rule, context)
    if ('failure' in matched || matched.is) ids.push(id)
    if ('failure' in matched) {
      violations.push({ id, outcome: 'deny', message: undefined, failure: matched.failure })
    } else if (matched.is && outcome) {
      violations.push({ id, outcome, message, failure: undefined })
    } else if (matched.is && rule.limit) {
      limit = strictest(limit, rule.limit)
    }
  }
  const all = () => {
    for (const rule of own) look(rule)
  }
  if (!withinTimeLimit(all) && looking) {
    // Neither this rule nor those behind it said anything.
    const { id } = looking
    ids.push(id)
    violations.push({ id, outcome: 'deny', message: undefined, failure: 'takes too long' })
  }
  const outcome = OUTCOMES.find((one) => violations.some((violation) => violation.outcome === one)) ?? 'allow'
  const worded = violations.find((one) => one.outcome === outcome && one.message !== undefined)
  return { matched: ids, outcome, message: worded?.message, violations, limit }
}

function matches(
  { when }: Rule,
  context: { value: Record<string, unknown> } | { failure: string },
): { is: boolean } | { failure: string } {
  if ('failure' in context) return context
  if (!when) return { is: true }
  try {
    const result = when(context.value)
    // Nothing but these two is an answer; a value of another kind must not pass for "no".
    return typeof result === 'boolean' ? { is: result } : { failure: `gave ${typeof result}` }
  } catch (error) {
    const { summary, message } = error as { summary?: string; message?: string }
    return { failure: summary ?? message ?? String(error) }
  }
}

function strictest(one: SessionLimit | undefined, other: SessionLimit): SessionLimit {
  if (!one) return other
  const least = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
  const refuses = [one, other].some(({ hard, atHard }) => hard !== undefined && atHard === 'refuse')
  return {
    soft: least(one.soft, other.soft),
    hard: least(one.hard, other.hard),
    atHard: refuses ? 'refuse' : 'end_oldest',
  }
}

/** The input as CEL takes it. */
function contextOf(
  kind: PolicyKind,
  input: object,
  networks: NetworkValues,
): { value: Record<string, unknown> } | { failure: string } {
  const value: Record<string, unknown> = { networks }
  for (const [name, variable] of Object.entries(variablesOf(kind))) {
    const given = (input as Record<string, unknown>)[name]
    const fields: [string, Field, unknown][] = isField(variable)
      ? [[name, variable, given]]
      : Object.entries(variable).map(([key, field]) => [
          key,
          field,
          (given as Record<string, unknown>)?.[key],
        ])
    const large = fields.find(([, , one]) => isTooLarge(one))
    if (large) return { failure: `${large[0]} is too long to be looked at` }
    const converted = fields.map(([key, field, one]) => [key, celValue(field, one)] as const)
    value[name] = isField(variable) ? converted[0]?.[1] : Object.fromEntries(converted)
  }
  return { value }
}

function isTooLarge(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > MAX_ITEMS || value.some(isTooLarge)
  return typeof value === 'string' && value.length > MAX_TEXT
}

function celValue({ type }: Field, value: unknown): unknown {
  return type === 'int' && typeof value === 'number' ? BigInt(Math.trunc(value)) : value
}
