import type { ASTNode, Environment, ParseResult } from '@marcbachmann/cel-js'
import type { Networks } from './environment.ts'
import { refusedIn } from './forbidden.ts'
import { isField, type PolicyKind, variablesOf } from './kinds.ts'
import { unknown } from './unknown.ts'

/** What is wrong with a condition, and at which character of it. */
export interface ExpressionProblem {
  offset: number
  message: string
}

/** The parts of the library's errors that are used here. */
interface CelError {
  code: string
  summary: string
  range?: { start: number; end: number }
  node?: { op?: string; args?: unknown }
}

/** Reads and checks a condition, so that nothing but a value can go wrong later. */
export function compileExpression(
  text: string,
  { kind, environment, networks }: { kind: PolicyKind; environment: Environment; networks: Networks },
): { evaluate: ParseResult } | { problem: ExpressionProblem } {
  let parsed: ParseResult
  try {
    parsed = environment.parse(text)
  } catch (error) {
    return { problem: explain(error as CelError, text, kind, networks) }
  }
  // Before the types: `matches` has right types, and still must not be used.
  const refused = refusedIn(parsed.ast)
  if (refused) return { problem: refused }
  const checked = parsed.check()
  if (!checked.valid) return { problem: explain(checked.error as CelError, text, kind, networks) }
  if (checked.type !== 'bool') {
    return {
      problem: { offset: 0, message: `gives a ${checked.type}; write a condition that is true or false` },
    }
  }
  return { evaluate: parsed }
}

function explain(error: CelError, text: string, kind: PolicyKind, networks: Networks): ExpressionProblem {
  const offset = error.range?.start ?? 0
  const candidates = { ...variablesOf(kind), networks }
  if (error.code === 'unknown_variable') {
    const name = text.slice(offset, error.range?.end)
    return { offset, message: unknown(`variable ${name}`, name, Object.keys(candidates)) }
  }
  if (error.code === 'no_such_key') {
    const [parent, key] = keyOf(error.node)
    const fields = parent === 'networks' ? networks : variablesOf(kind)[parent ?? '']
    const known = fields && !isField(fields as never) ? Object.keys(fields) : []
    const what = parent === undefined ? `key ${key}` : `${parent}.${key}`
    return { offset, message: unknown(what, key, known) }
  }
  return { offset, message: error.summary.replaceAll(/\$([a-z]+)/g, '$1') }
}

/** The variable and the key that was looked up in it, where the variable was named outright. */
function keyOf(node: CelError['node']): [parent: string | undefined, key: string] {
  const [object, key] = (node?.args ?? []) as [ASTNode | undefined, string | ASTNode | undefined]
  const parent = object?.op === 'id' ? String(object.args) : undefined
  return [parent, typeof key === 'string' ? key : String(key?.args ?? '')]
}
