import { isCollection, isMap, isNode, isPair, LineCounter, type Node, parseDocument } from 'yaml'
import { ConfigError } from './error.ts'

/** A configuration file's content, and where each part of it stands. */
export interface Source {
  /** Plain objects, lists and scalars; keys without a value are left out. */
  value: Record<string, unknown>
  /** The line (from 1) of a path, of its key where it has one; of the nearest parent where it is not there. */
  lineOf(path: readonly PropertyKey[]): number
}

/**
 * Reads YAML text.
 * @param name what messages call the file
 * @throws ConfigError for anything that is not one YAML mapping
 */
export function parseSource(text: string, name: string): Source {
  const lines = new LineCounter()
  try {
    // `prettyErrors` would quote lines of the file, secrets included.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
    const problems = [...document.errors, ...document.warnings].map(
      (error) => `${name}:${lines.linePos(error.pos[0]).line}: ${firstLine(error.message)}`,
    )
    if (problems.length > 0) throw new ConfigError(problems)
    const value = withoutNulls(document.toJS())
    if (value !== null && (typeof value !== 'object' || Array.isArray(value)))
      throw new ConfigError([
        `${name}:1: is not a mapping; write sections such as "http:" with indented keys`,
      ])
    const root = document.contents as Node | null
    return {
      value: (value ?? {}) as Record<string, unknown>,
      lineOf: (path) => lines.linePos(offsetOf(root, path)).line || 1,
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    // Too many aliases, an alias of what it stands in, or too deep a nesting end here.
    throw new ConfigError([`${name}: is not usable YAML (${firstLine(String(error))})`])
  }
}

function offsetOf(root: Node | null, path: readonly PropertyKey[]): number {
  let node: unknown = root
  let offset = root?.range?.[0] ?? 0
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isNode(item.key) && String(item.key) === String(step))
      if (!pair) break
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset
      node = pair.value
    } else if (isCollection(node)) {
      const item: unknown = node.items[Number(step)]
      node = isPair(item) ? item.value : item
      offset = (isNode(node) ? node.range?.[0] : undefined) ?? offset
    } else break
  }
  return offset
}

/** A key without a value ("http:") is as good as not there: everything has a default or says that it is missing. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  )
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.slice(0, 300)
}
