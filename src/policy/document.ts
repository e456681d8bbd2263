import { isCollection, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type { Problem } from './error.ts'

/** A YAML file that knows where everything in it stands. */
export interface PolicyDocument {
  value: unknown
  /** A problem with what stands at a path; of its key, where `key` is set. */
  problem(
    path: readonly PropertyKey[],
    message: string,
    options?: { key?: boolean; offset?: number },
  ): Problem
}

/** Reads a file. What is no YAML at all comes back as problems. */
export function parsePolicyDocument(text: string, file: string): PolicyDocument | { problems: Problem[] } {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, stringKeys: true })
  const lines = text.split('\n')
  const at = (offset: number, message: string): Problem => {
    const { line, col } = counter.linePos(offset)
    return { file, line: line || 1, column: col || 1, message, excerpt: lines[line - 1]?.trimEnd() ?? '' }
  }
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) {
    return { problems: broken.map((one) => at(one.pos[0], one.message.split('\n')[0] ?? 'is no YAML')) }
  }
  let value: unknown
  try {
    value = document.toJS()
  } catch (error) {
    // An alias of what it stands in, or too many of them.
    return { problems: [at(0, error instanceof Error ? error.message : String(error))] }
  }
  return {
    value,
    problem(path, message, { key = false, offset = 0 } = {}) {
      const found = find(document.contents as Node | null, path)
      const node = key ? (found.key ?? found.value) : (found.value ?? found.key)
      const start = node?.range?.[0] ?? found.parent?.range?.[0] ?? 0
      return at(node && !key ? placeIn(node, text, offset) : start, message)
    },
  }
}

interface Found {
  key: Node | undefined
  value: Node | undefined
  /** The nearest that is there. */
  parent: Node | undefined
}

function find(root: Node | null, path: readonly PropertyKey[]): Found {
  let found: Found = { key: undefined, value: root ?? undefined, parent: undefined }
  for (const step of path) {
    const within = found.value
    if (isMap(within)) {
      const pair = within.items.find((item) => isNode(item.key) && String(item.key) === String(step))
      const value = isNode(pair?.value) ? pair.value : undefined
      found = { key: isNode(pair?.key) ? pair.key : undefined, value, parent: within }
    } else if (isCollection(within)) {
      const item: unknown = within.items[Number(step)]
      found = { key: undefined, value: isNode(item) && !isPair(item) ? item : undefined, parent: within }
    } else return { key: undefined, value: undefined, parent: within ?? found.parent }
  }
  return found
}

/**
 * Where the character `offset` of a text stands in the file. Texts in blocks (`|`) and on one line are followed
 * exactly; of the rest (folded, or with escapes) the start.
 */
function placeIn(node: Node, source: string, offset: number): number {
  const [start = 0, end = 0] = node.range ?? []
  if (!isScalar(node) || typeof node.value !== 'string' || offset === 0) return start
  const value = node.value
  const raw = source.slice(start, end)
  const quoted = node.type === 'QUOTE_SINGLE' || node.type === 'QUOTE_DOUBLE' ? 1 : 0
  if (raw.startsWith(value, quoted)) return start + quoted + offset
  if (node.type !== 'BLOCK_LITERAL') return start
  const before = value.slice(0, offset).split('\n')
  const column = before.at(-1)?.length ?? 0
  const rows = raw.split('\n').slice(1)
  const indent = /^ */.exec(rows.find((row) => row.trim() !== '') ?? '')?.[0].length ?? 0
  const skipped = raw.split('\n').slice(0, before.length).join('\n').length + 1
  return start + skipped + indent + column
}
