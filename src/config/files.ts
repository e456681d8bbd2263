import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { type Locate, line } from './problems.ts'
import { configSchema } from './schema.ts'
import { keysOf, unwrap } from './walk.ts'

type Mapping = Record<string, unknown>

/** What came of reading the `*_file` options. */
export interface FileResults {
  problems: string[]
  /** Paths of options whose value came (or should have come) from a file, as "matrix.secret" → its `_file` path. */
  twins: Map<string, PropertyKey[]>
  /** Paths of options whose file could not be read. */
  failed: Set<string>
}

/**
 * Replaces every `secret_file: path` by `secret: <the content>`, without the newline at its end, changing `value`.
 * @param folder where relative paths start
 */
export async function readSecretFiles(value: Mapping, folder: string, locate: Locate): Promise<FileResults> {
  const results: FileResults = { problems: [], twins: new Map(), failed: new Set() }
  for (const { mapping, path, key } of twinsIn(value, configSchema, [])) {
    const twinPath = [...path, `${key}_file`]
    const id = [...path, key].join('.')
    const file = mapping[`${key}_file`]
    if (typeof file !== 'string' || file === '') continue
    delete mapping[`${key}_file`]
    results.twins.set(id, twinPath)
    if (mapping[key] !== undefined && mapping[key] !== null) {
      results.problems.push(line(twinPath, `is given beside ${key}; write only one of the two`, locate))
      continue
    }
    try {
      mapping[key] = (await readFile(resolve(folder, file), 'utf8')).replace(/[\r\n]+$/, '')
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const what = `names the file ${resolve(folder, file)}, which cannot be read (${code})`
      results.problems.push(
        line(twinPath, `${what}; write the path of a file that the service may read`, locate),
      )
      results.failed.add(id)
    }
  }
  return results
}

interface Twin {
  mapping: Mapping
  path: PropertyKey[]
  key: string
}

/** Every place in `value` where the schema has an option with a `_file` twin. */
function twinsIn(value: unknown, wrapped: z.core.$ZodType, path: PropertyKey[]): Twin[] {
  if (typeof value !== 'object' || value === null) return []
  const { schema } = unwrap(wrapped)
  if (schema instanceof z.ZodArray)
    return Array.isArray(value)
      ? value.flatMap((item, index) => twinsIn(item, schema.element, [...path, index]))
      : []
  const keys = keysOf(schema)
  if (!keys || Array.isArray(value)) return []
  const mapping = value as Mapping
  return Object.entries(keys).flatMap(([key, inner]) =>
    Object.hasOwn(keys, `${key}_file`)
      ? [{ mapping, path, key }]
      : twinsIn(mapping[key], inner, [...path, key]),
  )
}
