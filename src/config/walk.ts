import { z } from 'zod'

/** What the schemas say about an option besides its check. */
export interface OptionMeta {
  /** What the documentation calls the type. */
  type?: string | undefined
  /** What to write, as the end of "write … instead". */
  write?: string | undefined
  description?: string | undefined
  /** The default in words, where it depends on the machine or on other options. */
  defaultText?: string | undefined
}

/** A schema without its wrappers (default, optional, nullable, transform). */
export interface Unwrapped {
  schema: z.core.$ZodType
  meta: OptionMeta
  /** The default, or undefined where there is none. */
  default: unknown
}

/** Takes the wrappers off a schema and collects what they say; the outermost word wins. */
export function unwrap(wrapped: z.core.$ZodType): Unwrapped {
  let schema = wrapped
  let meta: OptionMeta = {}
  let fallback: unknown
  for (;;) {
    meta = { ...z.globalRegistry.get(schema), ...meta }
    if (schema instanceof z.ZodDefault) fallback = schema.def.defaultValue
    if (schema instanceof z.ZodPipe) schema = schema.def.in
    else if (
      schema instanceof z.ZodDefault ||
      schema instanceof z.ZodPrefault ||
      schema instanceof z.ZodOptional ||
      schema instanceof z.ZodNullable
    )
      schema = schema.def.innerType
    else return { schema, meta, default: fallback }
  }
}

/** The keys of a mapping's schema, or undefined where the schema is no mapping. */
export function keysOf(wrapped: z.core.$ZodType): Record<string, z.core.$ZodType> | undefined {
  const { schema } = unwrap(wrapped)
  return schema instanceof z.ZodObject ? schema.shape : undefined
}

/** The schema at a path of keys and list indexes, or undefined where there is none. */
export function schemaAt(root: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  let at: z.core.$ZodType | undefined = root
  for (const step of path) {
    if (!at) return undefined
    const { schema }: Unwrapped = unwrap(at)
    if (schema instanceof z.ZodArray) at = schema.element
    else if (schema instanceof z.ZodRecord) at = schema.valueType
    else
      at =
        schema instanceof z.ZodObject && Object.hasOwn(schema.shape, step)
          ? schema.shape[String(step)]
          : undefined
  }
  return at
}

/** One option: everything below a section that has a value of its own (a list of mappings is one option). */
export interface Option {
  path: string[]
  /** The environment variable that overrides it. */
  variable: string
  /** The schema with its wrappers, and without them. */
  wrapped: z.core.$ZodType
  schema: z.core.$ZodType
  meta: OptionMeta
  default: unknown
}

/** Every option of a mapping's schema, in the order of the schema. */
export function optionsOf(root: z.core.$ZodType, path: string[] = []): Option[] {
  return Object.entries(keysOf(root) ?? {}).flatMap(([key, wrapped]) => {
    const here = [...path, key]
    if (keysOf(wrapped)) return optionsOf(wrapped, here)
    const { schema, meta, default: fallback } = unwrap(wrapped)
    const variable = `POSTERN_${here.join('__').toUpperCase()}`
    return [{ path: here, variable, wrapped, schema, meta, default: fallback }]
  })
}
