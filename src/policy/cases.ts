import { join } from 'node:path'
import { z } from 'zod'
import { type PolicyDocument, parsePolicyDocument } from './document.ts'
import { networksValue } from './environment.ts'
import { PolicyError, type Problem } from './error.ts'
import { evaluateRules } from './evaluate.ts'
import { readPolicyInput } from './input.ts'
import { type PolicyInput, type PolicyKind, policyKinds } from './kinds.ts'
import { loadRules, type PolicySource, policyFiles, readPolicyFile } from './load.ts'
import { unknown } from './unknown.ts'

/** A case beside the rules: with this input, exactly these rules match. */
interface Case {
  name: string
  on: PolicyKind
  input: PolicyInput
  expect: readonly string[]
}

/** What came of a case. */
export interface CaseResult {
  /** Its name, and where it stands. */
  name: string
  passed: boolean
  expected: readonly string[]
  matched: readonly string[]
  /** Rules that could not be evaluated, with the reason. */
  failures: readonly string[]
}

const caseSchema = z.strictObject({
  name: z.string().optional(),
  on: z.enum(policyKinds),
  input: z.unknown(),
  expect: z.array(z.string()),
})

/** Runs every case of `*.test.yaml` against the rules. @throws PolicyError where rules or cases are wrong */
export async function runCases(source: PolicySource & { folder: string }): Promise<CaseResult[]> {
  const rules = await loadRules(source)
  const ids = rules.map(({ id }) => id)
  const cases: Case[] = []
  const problems: Problem[] = []
  for (const name of await policyFiles(source.folder, 'cases')) {
    const text = await readPolicyFile(join(source.folder, name))
    const read = typeof text === 'string' ? readCases(text, name, ids) : { cases: [], problems: [text] }
    cases.push(...read.cases)
    problems.push(...read.problems)
  }
  if (problems.length > 0) throw new PolicyError(problems)
  const networks = networksValue(source.networks)
  return cases.map(({ name, on, input, expect }) => {
    const { matched, violations } = evaluateRules(rules, on, input, networks)
    const failures = violations.flatMap(({ id, failure }) =>
      failure === undefined ? [] : [`${id}: ${failure}`],
    )
    const same = matched.length === expect.length && expect.every((id) => matched.includes(id))
    return { name, passed: same && failures.length === 0, expected: expect, matched, failures }
  })
}

function readCases(
  text: string,
  file: string,
  ids: readonly string[],
): { cases: Case[]; problems: Problem[] } {
  const document = parsePolicyDocument(text, file)
  if ('problems' in document) return { cases: [], problems: document.problems }
  if (!Array.isArray(document.value)) {
    return { cases: [], problems: [document.problem([], 'is no list; write cases as "- on: …"')] }
  }
  const cases: Case[] = []
  const problems: Problem[] = []
  for (const [index, value] of document.value.entries()) {
    const read = readCase(document, index, value, { file, ids })
    if ('problems' in read) problems.push(...read.problems)
    else cases.push(read)
  }
  return { cases, problems }
}

function readCase(
  document: PolicyDocument,
  index: number,
  value: unknown,
  { file, ids }: { file: string; ids: readonly string[] },
): Case | { problems: Problem[] } {
  const checked = caseSchema.safeParse(value, { reportInput: true })
  if (!checked.success)
    return { problems: checked.error.issues.flatMap((issue) => explain(document, index, issue)) }
  const { on, expect } = checked.data
  const strangers = expect.flatMap((id, at) =>
    ids.includes(id) ? [] : [document.problem([index, 'expect', at], unknown(`the rule ${id}`, id, ids))],
  )
  if (strangers.length > 0) return { problems: strangers }
  const read = readPolicyInput(document, [index, 'input'], on, checked.data.input)
  if ('problems' in read) return read
  const { line } = document.problem([index], '')
  const place = `${file}:${line}`
  const name = checked.data.name === undefined ? place : `${checked.data.name} (${place})`
  return { name, on, input: read.input, expect }
}

function explain(document: PolicyDocument, index: number, issue: z.core.$ZodIssue): Problem[] {
  const path = [index, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(caseSchema.shape)
    return issue.keys.map((key) =>
      document.problem([...path, key], unknown(`"${key}"`, key, known), { key: true }),
    )
  }
  if (issue.code === 'invalid_value' && issue.input !== undefined) {
    const given = String(issue.input)
    return [document.problem(path, unknown(`the decision ${given}`, given, policyKinds))]
  }
  return [document.problem(path, `${issue.path.join('.')}: ${issue.message}`)]
}
