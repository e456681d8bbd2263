import { isUtf8 } from 'node:buffer'
import { RegistrationError } from './registration-error.ts'

/** The most bytes that a registration may have. Real ones have less than two thousand. */
export const MAXIMUM_BODY = 64 * 1024

/** Names that mean something to JavaScript's objects. No metadata is called so: whoever sends them is trying. */
const POISONED = ['__proto__', 'constructor', 'prototype']

/**
 * Reads a registration's JSON object. The size is checked before anything is parsed, and nothing here recurses.
 * @throws RegistrationError
 */
export function parseBody(body: Buffer): Map<string, unknown> {
  if (body.length > MAXIMUM_BODY) {
    throw new RegistrationError(
      'invalid_client_metadata',
      `the body must not be larger than ${MAXIMUM_BODY} bytes`,
    )
  }
  if (!isUtf8(body)) throw new RegistrationError('invalid_request', 'the body is not valid UTF-8')
  const parsed = parseJson(body.toString('utf8'))
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new RegistrationError('invalid_request', 'the body must be a JSON object')
  }
  const poisoned = POISONED.find((name) => Object.hasOwn(parsed, name))
  if (poisoned)
    throw new RegistrationError('invalid_client_metadata', `${poisoned} is not a name of metadata`)
  // Some serialisers write null for what they don't have
  return new Map(Object.entries(parsed).filter(([, value]) => value !== null))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RegistrationError('invalid_request', 'the body is not valid JSON')
  }
}
