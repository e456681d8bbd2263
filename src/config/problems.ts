import type { z } from 'zod'
import { configSchema } from './schema.ts'
import { suggest } from './suggest.ts'
import { keysOf, schemaAt, unwrap } from './walk.ts'

/** Where a path was written: "postern.yaml:3" or "environment variable POSTERN_HTTP__PUBLIC_URL". */
export type Locate = (path: readonly PropertyKey[]) => string

/** One line a problem: where, which option, what is wrong, what to write instead. */
export function describeIssues(issues: readonly z.core.$ZodIssue[], locate: Locate): string[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => line([...issue.path, key], unknownKey(issue.path, key), locate))
    return [line(issue.path, explainIssue(issue, configSchema), locate)]
  })
}

/** What is wrong and what to write instead, for an issue with a value of the schema. */
export function explainIssue(issue: z.core.$ZodIssue, root: z.core.$ZodType): string {
  const what = describe(issue)
  const { write } = unwrap(schemaAt(root, issue.path) ?? root).meta
  return what.includes('; ') || !write ? what : `${what}; write ${write} instead`
}

/** A problem as one line. */
export function line(path: readonly PropertyKey[], message: string, locate: Locate): string {
  return `${locate(path)}: ${pathText(path)}: ${message}`
}

/** A path as people write it: `clients[0].client_id`. Control characters of odd keys are escaped. */
export function pathText(path: readonly PropertyKey[]): string {
  const text = path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '')
  return /\p{C}/u.test(text) ? JSON.stringify(text) : text
}

function unknownKey(path: readonly PropertyKey[], key: string): string {
  const keys = Object.keys(keysOf(schemaAt(configSchema, path) ?? configSchema) ?? {})
  const meant = suggest(key, keys)
  return `is not known; ${meant ? `did you mean ${meant}?` : `known here: ${keys.join(', ')}`}`
}

function describe(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
    case 'invalid_value':
      if (issue.input === undefined) return 'is missing'
      if (issue.code === 'invalid_value') return 'is none of the known values'
      // zod has a type of its own for whole numbers
      return issue.expected === 'int' ? 'is not a whole number' : `is not ${article(issue.expected)}`
    case 'too_small':
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int' ? tooFar(issue) : issue.message
    default:
      return issue.message
  }
}

function tooFar(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  return issue.code === 'too_small' ? 'is too small' : 'is too large'
}

function article(expected: string): string {
  const names: Record<string, string> = {
    string: 'a text (numbers and words like "yes" need quotes)',
    number: 'a number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a mapping of keys',
  }
  return names[expected] ?? expected
}
