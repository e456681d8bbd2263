import type { ASTNode } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import { network } from '../config/kinds.ts'
import type { ExpressionProblem } from './expression.ts'
import { unknown } from './unknown.ts'

/** Functions and methods that conditions may call. A list of what is allowed: new ones of the library stay out. */
const FUNCTIONS = new Set(['cidr', 'size', 'string', 'int', 'double', 'type'])
const MACROS = new Set(['exists', 'exists_one', 'all', 'filter', 'map'])
const METHODS = new Set([
  ...MACROS,
  'like',
  'glob',
  'normalized',
  'contains',
  'startsWith',
  'endsWith',
  'lowerAscii',
  'upperAscii',
  'trim',
  'size',
  'indexOf',
  'lastIndexOf',
  'substring',
  'split',
  'join',
])

/** 64 list items, looked at for each of 64: more would be millions of steps. */
const MAX_NESTED_MACROS = 2

/** What people try first, and what to write instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  matches: 'matches() can be made to run for hours; write like() instead, which takes RE2 patterns',
  has: 'has() is not needed: every field is always there, empty where nothing is known',
  dyn: 'dyn() would switch the check of types off; write the field itself',
  bind: 'cel.bind() is not allowed; write the value where it is used',
}

/** The first thing in a condition that must not stand there, whatever its type. */
export function refusedIn(root: ASTNode): ExpressionProblem | undefined {
  function look(node: ASTNode, macros: number): ExpressionProblem | undefined {
    const isCall = node.op === 'call' || node.op === 'rcall'
    const problem = isCall ? refusedCall(node, macros) : undefined
    if (problem) return { offset: nameOffset(node), message: problem }
    const inside = node.op === 'rcall' && MACROS.has(node.args[0]) ? macros + 1 : macros
    for (const child of childrenOf(node)) {
      const found = look(child, inside)
      if (found) return found
    }
    return undefined
  }
  return look(root, 0)
}

type Call = Extract<ASTNode, { op: 'call' | 'rcall' }>

function refusedCall(node: Call, macros: number): string | undefined {
  const [name] = node.args
  const args = node.op === 'call' ? node.args[1] : node.args[2]
  if (INSTEAD[name] && Object.hasOwn(INSTEAD, name)) return INSTEAD[name]
  const allowed = node.op === 'call' ? FUNCTIONS : METHODS
  if (!allowed.has(name)) return unknown(`${name}()`, name, [...allowed])
  if (node.op === 'rcall' && MACROS.has(name) && macros >= MAX_NESTED_MACROS) {
    return `${name}() stands inside of ${MAX_NESTED_MACROS} others; ${MAX_NESTED_MACROS} are the most`
  }
  if (name === 'like') return patternProblem(args[0])
  if (name === 'glob' && !isText(args[0])) return 'glob() needs a pattern that is written out, in quotes'
  if (name === 'cidr') return networkProblem(args[1])
  return undefined
}

/** Patterns are written out, so that they are checked now and compiled once. */
function patternProblem(node: ASTNode | undefined): string | undefined {
  if (!isText(node)) return 'like() needs a pattern that is written out, in quotes'
  try {
    RE2JS.compile(node.args)
    return undefined
  } catch (error) {
    return `like() needs an RE2 pattern: ${(error as Error).message}`
  }
}

function networkProblem(node: ASTNode | undefined): string | undefined {
  const texts = node?.op === 'list' ? node.args : node ? [node] : []
  for (const one of texts) {
    // `networks.office`, and what else has the type of a network; the check of types sees to it.
    if (!isText(one)) {
      if (node?.op === 'list' || one.op !== '.') return 'cidr() needs networks.NAME, or networks in quotes'
    } else if (!network.safeParse(one.args).success)
      return `${one.args} is not a network; write one such as 10.0.0.0/8 or fd00::/8`
  }
  return undefined
}

function isText(node: ASTNode | undefined): node is Extract<ASTNode, { op: 'value' }> & { args: string } {
  return node?.op === 'value' && typeof node.args === 'string'
}

/** Where the name of a call stands: after its receiver and the dot. */
function nameOffset(node: ASTNode): number {
  if (node.op !== 'rcall') return node.start
  const [name, receiver] = node.args
  const at = node.input.indexOf(name, receiver.end)
  return at < 0 ? node.start : at
}

function childrenOf(node: ASTNode): ASTNode[] {
  const found: ASTNode[] = []
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(collect)
    else if (typeof value === 'object' && value !== null && 'op' in value) found.push(value as ASTNode)
  }
  collect(node.args)
  return found
}
