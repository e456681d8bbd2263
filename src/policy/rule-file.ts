import { z } from 'zod'
import { type PolicyDocument, parsePolicyDocument } from './document.ts'
import { createEnvironment, type Networks } from './environment.ts'
import type { Problem } from './error.ts'
import { compileExpression } from './expression.ts'
import { OUTCOMES, type Outcome, type PolicyKind, policyKinds } from './kinds.ts'
import { unknown } from './unknown.ts'

/** One rule, checked. */
export interface Rule {
  id: string
  on: PolicyKind
  file: string
  line: number
  /** Whether the rule matches; undefined stands for always. May throw, and may give anything. */
  when: ((context: Record<string, unknown>) => unknown) | undefined
  /** What follows where it matches; a rule on `session_limit` has a limit in its place. */
  outcome: Outcome | undefined
  limit: SessionLimit | undefined
  message: string | undefined
}

/** What a rule on `session_limit` allows. */
export interface SessionLimit {
  soft?: number | undefined
  hard?: number | undefined
  atHard: 'refuse' | 'end_oldest'
}

const MAX_SESSIONS = 10_000
const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes')
const common = {
  id,
  when: z.string().min(1, 'is empty').max(4096, 'is longer than 4096 characters').optional(),
}
const message = z.string().min(1, 'is empty').max(500, 'is longer than 500 characters').optional()
// biome-ignore lint/suspicious/noThenProperty: the key of the rule files; rules in memory call it outcome
const outcomeRule = z.strictObject({ ...common, message, then: z.enum(OUTCOMES) })
const limitRule = z
  .strictObject({
    ...common,
    soft: z.int().min(1).max(MAX_SESSIONS).optional(),
    hard: z.int().min(1).max(MAX_SESSIONS).optional(),
    at_hard: z.enum(['refuse', 'end_oldest']).optional(),
  })
  .refine(({ soft, hard }) => soft !== undefined || hard !== undefined, 'needs soft, hard or both')
  .refine(({ soft, hard }) => (soft ?? 0) <= (hard ?? MAX_SESSIONS), 'has a soft limit above the hard one')

const fileSchema = (kind: PolicyKind) =>
  z.strictObject({
    on: z.literal(kind),
    rules: z.array(kind === 'session_limit' ? limitRule : outcomeRule),
  })

/** Reads one file of rules. All that is wrong with it comes back. */
export function readRuleFile(
  text: string,
  file: string,
  networks: Networks,
): { rules: Rule[]; problems: Problem[] } {
  const document = parsePolicyDocument(text, file)
  if ('problems' in document) return { rules: [], problems: document.problems }
  const kind = kindOf(document)
  if (typeof kind !== 'string') return { rules: [], problems: [kind] }
  const schema = fileSchema(kind)
  const checked = schema.safeParse(document.value, { reportInput: true })
  if (!checked.success) return { rules: [], problems: schemaProblems(document, checked.error.issues, kind) }

  const environment = createEnvironment(kind, networks)
  const problems: Problem[] = []
  const rules = checked.data.rules.map((rule, index): Rule => {
    const { line } = document.problem(['rules', index, 'id'], '')
    const base = { id: rule.id, on: kind, file, line, ...effectOf(rule) }
    if (rule.when === undefined) return { ...base, when: undefined }
    const compiled = compileExpression(rule.when, { kind, environment, networks })
    if ('evaluate' in compiled) return { ...base, when: compiled.evaluate }
    const { offset, message } = compiled.problem
    problems.push(document.problem(['rules', index, 'when'], `rule ${rule.id}: ${message}`, { offset }))
    return { ...base, when: undefined }
  })
  return { rules, problems }
}

function effectOf(
  rule: z.output<typeof outcomeRule> | z.output<typeof limitRule>,
): Pick<Rule, 'outcome' | 'limit' | 'message'> {
  if ('then' in rule) return { outcome: rule.then, limit: undefined, message: rule.message }
  const { soft, hard, at_hard: atHard = 'refuse' } = rule
  return { outcome: undefined, limit: { soft, hard, atHard }, message: undefined }
}

function kindOf(document: PolicyDocument): PolicyKind | Problem {
  const { value } = document
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return document.problem([], 'is no mapping; write "on:" with a decision, and "rules:" below it')
  }
  const { on } = value as { on?: unknown }
  if (on === undefined) return document.problem([], `"on" is missing; write one of ${policyKinds.join(', ')}`)
  const kind = policyKinds.find((one) => one === on)
  return kind ?? document.problem(['on'], unknown(`the decision ${String(on)}`, String(on), policyKinds))
}

function schemaProblems(
  document: PolicyDocument,
  issues: readonly z.core.$ZodIssue[],
  kind: PolicyKind,
): Problem[] {
  const rule = kind === 'session_limit' ? limitRule : outcomeRule
  return issues.flatMap((issue) => {
    const { path } = issue
    if (issue.code === 'unrecognized_keys') {
      const known = path.length === 0 ? ['on', 'rules'] : Object.keys(rule.shape)
      return issue.keys.map((key) =>
        document.problem([...path, key], unknown(`"${key}"`, key, known), { key: true }),
      )
    }
    const name = path.length > 0 && typeof path.at(-1) === 'string' ? `"${String(path.at(-1))}" ` : ''
    if (issue.code === 'invalid_value' && issue.input !== undefined) {
      const given = String(issue.input)
      return [document.problem(path, unknown(`${name}${given}`, given, issue.values.map(String)))]
    }
    const missing = 'input' in issue && issue.input === undefined
    return [document.problem(path, `${name}${missing ? 'is missing' : issue.message}`)]
  })
}
