import nunjucks from 'nunjucks'
import { suggest } from '../config/suggest.ts'
import { isForbiddenName } from '../views/sandbox.ts'

/** A node of nunjucks' syntax tree. Its own types say nothing about it. */
interface Node {
  typename: string
  lineno: number
  colno: number
  [field: string]: unknown
}

const { nodes, parser } = nunjucks as unknown as {
  nodes: { Node: new () => Node }
  parser: { parse(source: string, extensions: [], options: object): Node }
}

const REFERENCES = ['Extends', 'Include', 'Import', 'FromImport']

/** Something wrong in a template: its line (from 1) and what to do. */
export interface Flaw {
  line: number
  message: string
}

export interface Syntax {
  flaws: Flaw[]
  /** The names of other templates that it asks for. */
  references: { name: string; line: number; optional: boolean }[]
  /** Whether it asks for one whose name is only known when the page is made. */
  asksForAny: boolean
}

/** Reads a template without running it: what it asks for, and what no template may do. */
export function readSyntax(source: string, filters: readonly string[]): Syntax {
  const syntax: Syntax = { flaws: [], references: [], asksForAny: false }
  const flaw = (node: Node, message: string) => syntax.flaws.push({ line: node.lineno + 1, message })
  let root: Node
  try {
    root = parser.parse(source, [], {})
  } catch (error) {
    const { lineno, message } = error as Error & { lineno?: number }
    return { ...syntax, flaws: [{ line: lineno || 1, message: firstLine(message) }] }
  }
  for (const node of everyNode(root)) {
    if (REFERENCES.includes(node.typename)) {
      const name = literal(node.template)
      if (name === undefined) syntax.asksForAny = true
      else syntax.references.push({ name, line: node.lineno + 1, optional: node.ignoreMissing === true })
    }
    if (node.typename === 'Filter') checkFilter(node, filters, flaw)
    const word = node.typename === 'Symbol' ? node.value : literal(node.val)
    if (typeof word === 'string' && isForbiddenName(word))
      flaw(node, `uses "${word}", which leads out of the page; leave it out`)
  }
  return syntax
}

function checkFilter(
  node: Node,
  filters: readonly string[],
  flaw: (node: Node, message: string) => void,
): void {
  const name = (node.name as Node | undefined)?.value
  if (typeof name !== 'string') return
  if (name === 'safe')
    flaw(node, 'uses the filter "safe", which would let through what others typed; leave it out')
  else if (!filters.includes(name)) {
    const meant = suggest(name, filters)
    flaw(
      node,
      `uses the filter "${name}", which there is not; ${meant ? `did you mean "${meant}"?` : 'leave it out'}`,
    )
  }
}

function* everyNode(value: unknown): Generator<Node> {
  if (Array.isArray(value)) for (const item of value) yield* everyNode(item)
  if (!(value instanceof nodes.Node)) return
  yield value
  for (const inner of Object.values(value)) yield* everyNode(inner)
}

function literal(node: unknown): string | undefined {
  if (!(node instanceof nodes.Node) || node.typename !== 'Literal') return undefined
  return typeof node.value === 'string' ? node.value : undefined
}

function firstLine(message: string): string {
  const lines = message.split('\n').map((line) => line.trim())
  return lines.find((line) => line !== '' && !line.startsWith('(')) ?? message
}
