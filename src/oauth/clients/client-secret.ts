import { randomBytes } from 'node:crypto'

/** A fresh client secret of 256 random bits, in characters that need no escaping in a Basic header. */
export function newClientSecret(): string {
  return randomBytes(32).toString('base64url')
}
