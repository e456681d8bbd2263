import type { Context } from 'koa'
import type { SignInForm } from './sign-in-form.ts'

/** What the page that asks for the password once more shows after a form that did not do, and with which status. */
export function reauthenticateAgain(ctx: Context, form: Awaited<ReturnType<SignInForm>> | undefined) {
  const again = form && 'again' in form ? form.again : undefined
  const notice = again?.notice === 'too_many' || again?.notice === 'busy' ? again.notice : undefined
  if (again?.retryAfterSeconds) ctx.set('Retry-After', String(again.retryAfterSeconds))
  const wrong = again && !notice && !again.refused ? { password: 'error.password_wrong' as const } : undefined
  const errors = again?.errors?.password ? again.errors : wrong
  return { status: again?.status ?? 200, data: { errors, notice, refused: again?.refused } }
}
