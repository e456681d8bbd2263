import { z } from 'zod'
import type { PolicyDocument } from './document.ts'
import type { Problem } from './error.ts'
import { type Field, isField, type PolicyInput, type PolicyKind, variablesOf } from './kinds.ts'
import { unknown } from './unknown.ts'

const FIELDS = {
  string: z.string().default(''),
  bool: z.boolean().default(false),
  int: z.int().min(0).default(0),
  'list<string>': z.array(z.string()).default([]),
}

function schemaOf(kind: PolicyKind) {
  const shape = Object.entries(variablesOf(kind)).map(([name, variable]) => {
    if (isField(variable)) return [name, FIELDS[variable.type]] as const
    const fields = Object.entries(variable).map(([key, field]) => [key, FIELDS[field.type]])
    return [name, z.strictObject(Object.fromEntries(fields)).prefault({})] as const
  })
  return z.strictObject(Object.fromEntries(shape))
}

/**
 * Reads an input that a person wrote, for a test or an explanation; what is left out is empty. Names that are not
 * known are problems: a test with a typo in it would test something else.
 */
export function readPolicyInput(
  document: PolicyDocument,
  path: readonly PropertyKey[],
  kind: PolicyKind,
  value: unknown,
): { input: PolicyInput } | { problems: Problem[] } {
  const checked = schemaOf(kind).safeParse(value ?? {})
  if (checked.success) return { input: checked.data as unknown as PolicyInput }
  const problems = checked.error.issues.flatMap((issue) => {
    const here = [...path, ...issue.path]
    if (issue.code !== 'unrecognized_keys') {
      return [document.problem(here, `${issue.path.join('.')}: ${issue.message}`)]
    }
    const variable = variablesOf(kind)[String(issue.path[0] ?? '')] as Record<string, Field> | undefined
    const known = Object.keys(variable ?? variablesOf(kind))
    return issue.keys.map((key) => {
      const what = [...issue.path, key].join('.')
      return document.problem([...here, key], unknown(what, key, known), { key: true })
    })
  })
  return { problems }
}
