import type { Knex } from 'knex'
import type { Context } from 'koa'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { LimitedError, UnavailableError } from '../errors.ts'
import { PolicyDeniedError } from '../policy/refusal.ts'
import type { PostedForm } from '../server/pages.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { User } from '../users/store.ts'
import type { FormErrors, SignInNotice, Words } from '../views/index.ts'
import type { Browser, Current } from './browser.ts'
import type { PasswordSignIn } from './password-sign-in.ts'

/** What the sign-in page shows when it is shown again. */
export interface SignInAgain {
  status: number
  username: string
  errors?: FormErrors
  notice?: SignInNotice
  /** What a rule of the operator says to a right password. */
  refused?: Words
  retryAfterSeconds?: number
}

export type FormSignIn = { signedIn: User } | { again: SignInAgain }

export interface SignInFormDeps {
  clock: Clock
  passwordSignIn: PasswordSignIn
  browserSessions: BrowserSessions
  browser: Browser
}

/** Signing in by the form with user name and password, wherever that form stands. */
export function createSignInForm({ clock, passwordSignIn, browserSessions, browser }: SignInFormDeps) {
  function missing(username: string, password: string): SignInAgain | undefined {
    const errors: Record<string, FormErrors[string]> = {}
    if (username === '') errors.username = 'error.username_missing'
    if (password === '') errors.password = 'error.password_missing'
    return Object.keys(errors).length > 0 ? { status: 400, username, errors } : undefined
  }

  function refusal(error: unknown, username: string): SignInAgain {
    if (error instanceof LimitedError) {
      return { status: 429, username, notice: 'too_many', retryAfterSeconds: error.retryAfterSeconds }
    }
    if (error instanceof UnavailableError) {
      return { status: 503, username, notice: 'busy', retryAfterSeconds: error.retryAfterSeconds }
    }
    if (error instanceof PolicyDeniedError) return { status: 403, username, refused: error.words }
    throw error
  }

  /** The session that a right password gives: this browser's own with a new cookie, or a new one. */
  async function establish(
    trx: Knex,
    user: User,
    previous: Current | undefined,
    ctx: Context,
    form: PostedForm,
  ) {
    if (previous?.user.id === user.id) {
      const renewed = await browserSessions.reauthenticate(trx, browser.cookie(ctx) ?? '')
      if (renewed) return renewed.cookie
    }
    const facts = { ip: ctx.state.ip as string, userAgent: ctx.get('User-Agent') || undefined }
    const started = await browserSessions.start(trx, user, facts, form.formId)
    if (previous && previous.user.id !== user.id) {
      await recordAudit(trx, clock.now(), {
        event: 'browser_session.switched',
        actor: 'user',
        actorUserId: user.id,
        userId: previous.user.id,
        ip: facts.ip,
      })
    }
    return started.cookie
  }

  /**
   * Signs in with a posted form and sets the browser's cookie. Whoever was signed in before with this browser is
   * signed out. What the person must do differently comes back as data for the page.
   * @param fixedUsername set when the same person must show that it is still them
   */
  return async function signIn(ctx: Context, form: PostedForm, fixedUsername?: string): Promise<FormSignIn> {
    const username = fixedUsername ?? (form.fields.get('username') ?? '').trim()
    const password = form.fields.get('password') ?? ''
    const incomplete = missing(username, password)
    if (incomplete) return { again: incomplete }
    const previous = await browser.current(ctx)
    try {
      const request = {
        identifier: username,
        password,
        ip: ctx.state.ip as string,
        userAgent: ctx.get('User-Agent'),
      }
      const result = await passwordSignIn.signIn(request, (trx, user) =>
        establish(trx, user, previous, ctx, form),
      )
      if (!result.ok) {
        if (result.reason !== 'credentials')
          return { again: { status: 403, username, notice: result.reason } }
        return { again: { status: 400, username, errors: { form: 'error.wrong_credentials' } } }
      }
      if (previous && previous.user.id !== result.user.id) {
        await browserSessions.end(previous.session.id, { actor: 'user', actorUserId: previous.user.id })
      }
      browser.remember(ctx, result.value)
      return { signedIn: result.user }
    } catch (error) {
      return { again: refusal(error, username) }
    }
  }
}

export type SignInForm = ReturnType<typeof createSignInForm>
