import type { Context } from 'koa'
import type { z } from 'zod'
import { isStorableValue } from '../server/door/forbidden-bytes.ts'
import { BodyTooLargeError, readBody } from '../server/door/read-body.ts'
import { MatrixError } from './matrix-error.ts'

/** Nothing that is read here is long; a password may have 4096 bytes, each escaped as six characters at the worst. */
const MAX_BODY_BYTES = 64 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true })

async function readBytes(ctx: Context): Promise<Buffer> {
  try {
    return await readBody(ctx.req, MAX_BODY_BYTES)
  } catch (error) {
    if (!(error instanceof BodyTooLargeError)) throw error
    throw new MatrixError(413, 'M_TOO_LARGE', error.message)
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    throw new MatrixError(400, 'M_NOT_JSON', 'The body is not a valid JSON document')
  }
}

/**
 * Reads a request's JSON object. A missing content type is taken for JSON, as older apps leave it out.
 * @param mayBeEmpty whether no body at all stands for an object without members
 * @throws MatrixError `M_NOT_JSON`, `M_BAD_JSON` where it is no object or has text that nobody can store, `M_TOO_LARGE`
 */
export async function readJson(
  ctx: Context,
  { mayBeEmpty = false }: { mayBeEmpty?: boolean } = {},
): Promise<Record<string, unknown>> {
  if (ctx.get('Content-Type') !== '' && ctx.is('json', '+json') === false) {
    throw new MatrixError(400, 'M_NOT_JSON', 'The body must be sent as application/json')
  }
  const bytes = await readBytes(ctx)
  if (mayBeEmpty && bytes.length === 0) return {}
  const value = parse(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MatrixError(400, 'M_BAD_JSON', 'The body must be a JSON object')
  }
  if (!isStorableValue(value)) {
    throw new MatrixError(400, 'M_BAD_JSON', 'The body has a NUL or half a character in a text: leave it out')
  }
  return value as Record<string, unknown>
}

/**
 * Reads the members that a request needs; others are ignored, as the specification wants.
 * @throws MatrixError `M_BAD_JSON`, which names the first member that is wrong
 */
export function checkMembers<Schema extends z.ZodType>(
  schema: Schema,
  body: Record<string, unknown>,
): z.output<Schema> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.join('.') || 'body'
  const problem = issue?.code === 'invalid_type' ? `must be a ${issue.expected}` : 'is not valid'
  throw new MatrixError(400, 'M_BAD_JSON', `The member '${path}' ${problem}`)
}

/** A member that may be left out; `null` stands for that too, as some apps send it. */
export const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullish()
