import { PosternError } from '../errors.ts'
import { COMMON_PASSWORDS } from './common-passwords.ts'

export const MAX_BYTES = 1024

export type PasswordRefusal =
  | 'password_too_short'
  | 'password_too_long'
  | 'password_too_common'
  | 'password_like_user_name'

function refused(code: PasswordRefusal, message: string): PosternError {
  return new PosternError(code, message)
}

/**
 * Refuses a new password that is too short, too long, or among the first that anyone would guess. No rules about
 * the kinds of characters (ASVS 5.0, 6.2.1, 6.2.4, 6.2.5, 6.2.9). Throws one of `PasswordRefusal`.
 */
export function assertAcceptablePassword(
  password: string,
  { localpart, minimumLength }: { localpart: string; minimumLength: number },
): void {
  // Before anything that looks at each character.
  if (Buffer.byteLength(password) > MAX_BYTES) {
    throw refused('password_too_long', `The password is longer than ${MAX_BYTES} bytes: choose a shorter one`)
  }
  const text = password.normalize('NFKC')
  if ([...text].length < minimumLength) {
    throw refused('password_too_short', `The password needs ${minimumLength} characters at least`)
  }
  const plain = text.toLowerCase()
  if (COMMON_PASSWORDS.has(plain) || new Set(plain).size === 1) {
    throw refused(
      'password_too_common',
      'This password is one of the first that anyone would guess: choose another',
    )
  }
  // A long passphrase may well contain the name; what remains without it must be long enough alone.
  const name = localpart.toLowerCase()
  const remaining = plain.replaceAll(name, '')
  if (remaining !== plain && [...remaining].length < minimumLength) {
    throw refused('password_like_user_name', 'The password is mostly the user name: choose another')
  }
}
