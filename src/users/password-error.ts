import type { PosternError } from '../errors.ts'
import type { Message } from '../views/index.ts'
import { MAX_BYTES } from './password-policy.ts'

/** What a page says beside the field of a new password that was refused; nothing where it was something else. */
export function passwordError(error: PosternError, minimumLength: number): Message | undefined {
  switch (error.code) {
    case 'password_too_short':
      return { key: 'error.password_too_short', params: { minimum: minimumLength } }
    case 'password_too_long':
      return { key: 'error.password_too_long', params: { maximum: MAX_BYTES } }
    case 'password_too_common':
    case 'password_like_user_name':
      return 'error.password_common'
    default:
      return undefined
  }
}
