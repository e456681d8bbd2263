import { isAlias, isCollection, isMap, isNode, isPair, type Node, type Pair, visit, type YAMLMap } from 'yaml'
import type { YamlFile } from './yaml-file.ts'

/** A part of a text that gets another text. */
export interface Edit {
  from: number
  to: number
  text: string
}

/** A part of a text, from the start of its first line to the end of its last, without the line break. */
export interface Lines {
  from: number
  to: number
  /** What stands before its first line's content. */
  indent: string
}

/** Applies edits that do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const sorted = [...edits].sort((a, b) => b.from - a.from)
  return sorted.reduce((result, { from, to, text }) => result.slice(0, from) + text + result.slice(to), text)
}

/** The lines that a key with its value takes, or an item of a list; undefined where it shares them with others. */
export function linesOf(text: string, item: unknown): Lines | undefined {
  const start = isPair(item) ? item.key : item
  if (!isNode(start) || !start.range) return undefined
  const from = text.lastIndexOf('\n', start.range[0] - 1) + 1
  const before = text.slice(from, start.range[0])
  // An explicit key ("? key") and a list's item ("- item") begin with a sign.
  if (!(isPair(item) ? /^ *(\? +)?$/ : /^ *- +$/).test(before)) return undefined
  const end = from + text.slice(from, endOf(item)).trimEnd().length
  const lineBreak = text.indexOf('\n', end)
  const to = lineBreak < 0 ? text.length : lineBreak - (text[lineBreak - 1] === '\r' ? 1 : 0)
  if (!/^\s*(#.*)?$/.test(text.slice(end, to))) return undefined
  return { from, to, indent: /^ */.exec(before)![0] }
}

/** Where the content of a node or a pair ends; a collection's own range takes the comments after it, too. */
function endOf(item: unknown): number {
  if (isPair(item)) return isNode(item.value) ? endOf(item.value) : endOf(item.key)
  if (isCollection(item) && !item.flow && item.items.length > 0) return endOf(item.items.at(-1))
  return (item as Node).range?.[1] ?? 0
}

/** The same lines, each of them a comment. */
export function asComment(text: string, { from, to, indent }: Lines): string {
  const lines = text.slice(from, to).split('\n')
  return lines
    .map((line) => {
      const own = line.startsWith(indent) ? indent : ''
      const rest = line.slice(own.length)
      return rest.trim() === '' ? `${own}#${rest}` : `${own}# ${rest}`
    })
    .join('\n')
}

/** Every entry of a mapping with that key: PyYAML takes the last of several, and so all of them count. */
export function pairsOf(map: YAMLMap | undefined, key: string): Pair[] {
  return (map?.items ?? []).filter((pair) => isNode(pair.key) && String(pair.key) === key)
}

/** Whether a mapping takes over another's keys ("<<: *other"). */
export function hasMerge(map: unknown): boolean {
  return isMap(map) && pairsOf(map, '<<').length > 0
}

/** The edit that adds a top-level key at the end of a file, before a "..." that ends it. */
export function appendEdit({ text, root }: YamlFile, render: (indent: string) => string, eol: string): Edit {
  const first = root?.items[0]
  const indent = (first && linesOf(text, first)?.indent) ?? ''
  const end = root ? endOf(root) : 0
  const mark = /^\.\.\.(?=\s|$)/m.exec(text.slice(end))
  const at = mark ? end + mark.index : text.length
  const glue = at === 0 || text[at - 1] === '\n' ? '' : eol
  return { from: at, to: at, text: `${glue}${render(indent)}${eol}` }
}

/**
 * The edits that keep aliases alive whose anchor goes: the first of them gets the anchor, and with it the content.
 * @param gone the lines that become comments
 */
export function rescueAliases({ document, text }: YamlFile, gone: readonly Lines[]): Edit[] {
  const isGone = (node: Node) =>
    gone.some(({ from, to }) => from <= (node.range?.[0] ?? 0) && (node.range?.[0] ?? 0) < to)
  const rescued = new Set<Node>()
  const edits: Edit[] = []
  visit(document, (_, node) => {
    if (!isAlias(node) || !node.range || isGone(node)) return
    const target = node.resolve(document)
    if (!target || !isGone(target) || rescued.has(target)) return
    rescued.add(target)
    const [from, to] = node.range
    // JSON is YAML's flow style, and fits wherever an alias does.
    if (text[from] === '*')
      edits.push({ from, to, text: `&${node.source} ${JSON.stringify(target.toJS(document))}` })
  })
  return edits
}
