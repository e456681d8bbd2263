import { isMap, isSeq, type Pair } from 'yaml'
import type { Obsolete } from './obsolete.ts'
import type { YamlFile } from './yaml-file.ts'
import { hasMerge, linesOf, pairsOf } from './yaml-text.ts'

/** What the value of a key says, with its aliases and merged keys. */
export function contentOf({ document }: YamlFile, { value }: Pair): unknown {
  return (value as { toJS(document: unknown): unknown } | null)?.toJS(document)
}

/** What is left of a value without these parts of it; undefined where that is nothing. */
export function without(value: unknown, parts: readonly Obsolete[]): unknown {
  const keys = parts.map(({ path }) => path[1])
  if (keys.includes(undefined)) return undefined
  if (Array.isArray(value)) {
    const items = value.filter((_, index) => !keys.includes(index))
    return items.length > 0 ? items : undefined
  }
  const entries = Object.entries((value ?? {}) as object).filter(([key]) => !keys.includes(key))
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}

/** The part of a value that stands in lines of its own and can go alone; undefined where the whole is to be rewritten. */
export function ownItem(text: string, { value }: Pair, key: string | number | undefined): unknown {
  // What an anchor marks stands in other places as well, which are to stay as they are.
  if ((isMap(value) || isSeq(value)) && value.anchor) return undefined
  const items = isMap(value) && !hasMerge(value) ? pairsOf(value, String(key)) : []
  const item = isSeq(value) ? value.items[Number(key)] : items.length === 1 ? items[0] : undefined
  return item !== undefined && linesOf(text, item) ? item : undefined
}
