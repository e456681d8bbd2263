import { parse } from 'yaml'
import { z } from 'zod'
import { configSchema } from './schema.ts'
import { suggest } from './suggest.ts'
import { type Option, optionsOf } from './walk.ts'

const OWN_VARIABLES = ['POSTERN_CONFIG']

/** One option that the environment sets. */
export interface Override {
  option: Option
  value: unknown
}

/**
 * The options that environment variables set. A text is taken as it is, every other value is read as YAML; an
 * empty variable counts as not set.
 * @returns the overrides, and what is wrong with variables that are none
 */
export function readEnvironment(env: NodeJS.ProcessEnv): { overrides: Override[]; problems: string[] } {
  const options = new Map(optionsOf(configSchema).map((option) => [option.variable, option]))
  const overrides: Override[] = []
  const problems: string[] = []
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('POSTERN_') || OWN_VARIABLES.includes(name) || !value) continue
    const option = options.get(name)
    if (!option) {
      const meant = suggest(name, [...options.keys(), ...OWN_VARIABLES])
      problems.push(
        `environment variable ${name}: is not known; ${meant ? `did you mean ${meant}?` : 'remove it'}`,
      )
    } else if (option.schema instanceof z.ZodString) overrides.push({ option, value })
    else {
      try {
        overrides.push({ option, value: parse(value, { logLevel: 'error', stringKeys: true }) as unknown })
      } catch {
        problems.push(`environment variable ${name}: is not valid YAML; write ${option.meta.write} instead`)
      }
    }
  }
  return { overrides, problems }
}

/**
 * Puts the overrides into the file's content, changing it. An option and its `_file` twin displace each other.
 */
export function applyOverrides(value: Record<string, unknown>, overrides: readonly Override[]): void {
  const given = new Set(overrides.map(({ option }) => option.path.join('.')))
  for (const { option, value: setting } of overrides) {
    const key = option.path.at(-1)!
    const parent = parentOf(value, option.path)
    // Where the file has no mapping, the check of the file says so.
    if (!parent) continue
    parent[key] = setting
    const twin = key.endsWith('_file') ? key.slice(0, -'_file'.length) : `${key}_file`
    if (!given.has([...option.path.slice(0, -1), twin].join('.'))) delete parent[twin]
  }
}

function parentOf(
  value: Record<string, unknown>,
  path: readonly string[],
): Record<string, unknown> | undefined {
  let at = value
  for (const step of path.slice(0, -1)) {
    at[step] ??= {}
    const next = at[step]
    if (typeof next !== 'object' || Array.isArray(next)) return undefined
    at = next as Record<string, unknown>
  }
  return at
}
