import { isUtf8 } from 'node:buffer'
import { PosternError } from '../errors.ts'

/** The body is not a form that this service reads. Answered 400 `invalid_request` (RFC 6749 §5.2). */
export class InvalidFormError extends PosternError {
  constructor(message: string) {
    super('invalid_request', message)
  }
}

/** A decoded form. Parameters without a value are left out, as RFC 6749 §3.2 asks. */
export interface Form {
  /** the first value of each name */
  readonly values: ReadonlyMap<string, string>
  /** names that came more than once, which OAuth endpoints refuse (RFC 6749 §3.2) */
  readonly duplicates: readonly string[]
}

const MAXIMUM_PARAMETERS = 100

/**
 * Reads an `application/x-www-form-urlencoded` body or query, strictly: a broken escape, invalid UTF-8 and NUL
 * are errors, not guesses, because two parsers that guess differently are how parameters get smuggled.
 * @throws InvalidFormError
 */
export function parseForm(body: Buffer | string): Form {
  const values = new Map<string, string>()
  const duplicates = new Set<string>()
  const text = typeof body === 'string' ? body : decode(body)
  const pairs = text.split('&', MAXIMUM_PARAMETERS + 1)
  if (pairs.length > MAXIMUM_PARAMETERS) throw new InvalidFormError('the form has too many parameters')
  for (const pair of pairs) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decodeText(equals === -1 ? pair : pair.slice(0, equals))
    const value = equals === -1 ? '' : decodeText(pair.slice(equals + 1))
    if (values.has(name)) duplicates.add(name)
    else if (value !== '') values.set(name, value)
  }
  return { values, duplicates: [...duplicates] }
}

function decode(body: Buffer): string {
  if (!isUtf8(body)) throw new InvalidFormError('the form is not valid UTF-8')
  return body.toString('utf8')
}

function decodeText(text: string): string {
  let decoded = text
  if (text.includes('%') || text.includes('+')) {
    try {
      decoded = decodeURIComponent(text.replaceAll('+', ' '))
    } catch {
      throw new InvalidFormError('the form has a broken or invalid percent escape')
    }
  }
  if (decoded.includes('\0')) throw new InvalidFormError('the form holds a NUL character')
  if (!decoded.isWellFormed()) throw new InvalidFormError('the form is not valid UTF-8')
  return decoded
}
