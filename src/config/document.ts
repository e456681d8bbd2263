import { stringify } from 'yaml'
import { z } from 'zod'
import { configSchema } from './schema.ts'
import { keysOf, type OptionMeta, optionsOf, schemaAt, unwrap } from './walk.ts'

/** Values that a configuration file sets, by section and key. */
export interface Values {
  [key: string]: unknown
}

/**
 * A whole configuration file with every option and its documentation. Options without a value here are commented
 * out and show their default.
 */
export function renderConfig(values: Values = {}): string {
  const lines = [
    '# The configuration of Postern. Every line with a single "#" shows an option with its default: take the "#"',
    '# away to set it. An environment variable overrides each of them: http.public_url is',
    '# POSTERN_HTTP__PUBLIC_URL. `postern config check` tells what is wrong with this file.',
  ]
  for (const [key, schema] of Object.entries(configSchema.shape)) {
    lines.push('', ...renderOption(key, schema, values[key], ''))
  }
  return `${lines.join('\n')}\n`
}

function renderOption(key: string, wrapped: z.core.$ZodType, value: unknown, indent: string): string[] {
  const { schema, meta, default: fallback } = unwrap(wrapped)
  const lines = comment(meta, indent)
  const keys = keysOf(schema)
  if (keys) {
    lines.push(`${indent}${key}:`)
    for (const [inner, innerSchema] of Object.entries(keys))
      lines.push(...renderOption(inner, innerSchema, (value as Values | undefined)?.[inner], `${indent}  `))
    return lines
  }
  if (value !== undefined) return [...lines, `${indent}${key}: ${inline(value)}`]
  const item = schema instanceof z.ZodArray ? keysOf(schema.element) : undefined
  if (item && Array.isArray(fallback) && fallback.length === 0) return [...lines, ...renderItem(key, item)]
  return [
    ...lines,
    `${indent}#${key}:${fallback === undefined || meta.defaultText ? '' : ` ${inline(fallback)}`}`,
  ]
}

/** The options of one mapping of a list, all commented out. */
function renderItem(key: string, item: Record<string, z.core.$ZodType>): string[] {
  const options = Object.entries(item).flatMap(([inner, schema], index) => {
    const [line = '', ...more] = renderOption(inner, schema, undefined, '').reverse()
    const text = [...more.reverse(), line.replace('#', index === 0 ? '- ' : '  ')]
    return text.map((each) => (each.startsWith('# ') ? `#    ${each}` : `#  ${each}`))
  })
  return [`#${key}:`, ...options]
}

function comment({ description = '', defaultText }: OptionMeta, indent: string): string[] {
  const text = defaultText ? `${description} Default: ${defaultText}.` : description
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line && indent.length + line.length + word.length > 105) lines.push(word)
    else lines[lines.length - 1] = line ? `${line} ${word}` : word
  }
  return lines.map((line) => `${indent}# ${line}`)
}

function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()
}

const BEGIN = '<!-- options: generated from src/config/sections -->'
const END = '<!-- end of options -->'

/** The page with its list of options brought up to date: what stands between the two marks is replaced. */
export function withOptionTables(page: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`The page has no marks "${BEGIN}" and "${END}"`)
  return `${page.slice(0, begin)}${BEGIN}\n\n${renderTables()}\n${page.slice(end)}`
}

function renderTables(): string {
  const sections = Object.entries(configSchema.shape).map(([name, wrapped]) => {
    const { schema, meta } = unwrap(wrapped)
    const lists = optionsOf(schema, [name]).flatMap(({ path, schema: option }) =>
      option instanceof z.ZodArray && keysOf(option.element)
        ? [`Each of \`${path.join('.')}\`:\n\n${renderTable(option.element, [])}`]
        : [],
    )
    const tables = keysOf(schema) ? [renderTable(schema, [name]), ...lists] : [renderAlone(name, wrapped)]
    const text = keysOf(schema) ? `${meta.description}\n\n` : ''
    return `### ${name}\n\n${text}${tables.join('\n')}`
  })
  return sections.join('\n')
}

/** A section that is one option. */
function renderAlone(name: string, wrapped: z.core.$ZodType): string {
  const { schema, meta } = unwrap(wrapped)
  if (schema instanceof z.ZodArray) return `${meta.description}\n\n${renderTable(schema.element, [])}`
  return table([row([name], wrapped)])
}

function renderTable(schema: z.core.$ZodType, path: string[]): string {
  return table(optionsOf(schema, path).map((option) => row(option.path, option.wrapped)))
}

function table(rows: string[]): string {
  return `${['| option | type | default | what it does |', '| --- | --- | --- | --- |', ...rows].join('\n')}\n`
}

function row(path: string[], wrapped: z.core.$ZodType): string {
  const { meta, default: fallback } = unwrap(wrapped)
  const isRequired = !wrapped._zod.optin && fallback === undefined
  const shown = fallback === undefined || fallback === null ? 'none' : `\`${inline(fallback)}\``
  const standard = isRequired ? 'required' : (meta.defaultText ?? shown)
  const group =
    path.length > 2 ? unwrap(schemaAt(configSchema, path.slice(0, -1))!).meta.description : undefined
  const description = [group, meta.description].filter(Boolean).join(' ')
  return `| \`${path.join('.')}\` | ${meta.type ?? ''} | ${standard} | ${description} |`
}
