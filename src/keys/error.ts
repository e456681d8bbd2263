import { PosternError } from '../errors.ts'

/** A secret or signing key that cannot be used. It is never replaced: what it protects would be lost silently. */
export class KeyError extends PosternError {
  constructor(path: string, what: string, cause?: unknown) {
    super('key_invalid', `${path}: ${what}`, { status: 500, cause })
  }
}
