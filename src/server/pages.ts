import type { Context } from 'koa'
import { PosternError } from '../errors.ts'
import { parseForm } from '../oauth/form.ts'
import {
  chooseLocale,
  type Locale,
  type PageData,
  type PageForm,
  type PageName,
  type Views,
  type Words,
} from '../views/index.ts'
import { type Csrf, CsrfError, type VerifiedForm } from './csrf.ts'
import { readBody } from './door/read-body.ts'
import { allowPage } from './middleware/security-headers.ts'

const MAX_FORM_BYTES = 64 * 1024

export interface RenderPage {
  status?: number
  /** Where else the page's forms may lead, as CSP sources: the app's redirect URI. */
  formActions?: readonly string[]
  /** What the app asked for, before what the browser prefers. */
  uiLocales?: string | undefined
}

/** A posted form that was checked to be ours. */
export interface PostedForm extends VerifiedForm {
  fields: ReadonlyMap<string, string>
}

/** Where an app is, as a source of a Content-Security-Policy. */
export function formActionOf(redirectUri: string): string {
  const { protocol, origin, hostname } = new URL(redirectUri)
  const web = protocol === 'http:' || protocol === 'https:'
  // URL parsers let ";", "," and "*" pass in a host, where the policy would take them for its own.
  return web && isPlainHost(hostname) ? origin : protocol
}

/** Whether a host, as a URL parser gives it, has only characters of names and addresses. */
export function isPlainHost(hostname: string): boolean {
  return /^(?:[a-z0-9._-]+|\[[0-9a-f:]+\])$/.test(hostname)
}

type ErrorKind =
  | 'bad_request'
  | 'client_mismatch'
  | 'expired'
  | 'forbidden'
  | 'internal'
  | 'not_found'
  | 'policy'

function errorKind({ status, code }: { status: number; code: string }): ErrorKind {
  if (status >= 500) return 'internal'
  if (code === 'not_found') return 'not_found'
  if (code === 'policy_denied') return 'policy'
  if (code === 'form_expired') return 'forbidden'
  if (code === 'interaction_expired') return 'expired'
  return code === 'invalid_client' || code === 'invalid_redirect_uri' ? 'client_mismatch' : 'bad_request'
}

/** Rendering pages and reading the forms on them, the same for every route. */
export function createPages({
  views,
  csrf,
  signedInAs,
}: {
  views: Views
  csrf: Csrf
  /** What binds a form to who is signed in: the browser session's ID, or nothing. */
  signedInAs: (ctx: Context) => Promise<string>
}) {
  function locale(ctx: Context, uiLocales?: string): Locale {
    return chooseLocale(uiLocales ?? ctx.state.uiLocales, ctx.get('Accept-Language'), views.languages())
  }

  /** Answers with a page. */
  function render<Name extends PageName>(
    ctx: Context,
    name: Name,
    data: PageData[Name],
    options: RenderPage = {},
  ): void {
    const chosen = locale(ctx, options.uiLocales)
    ctx.status = options.status ?? 200
    ctx.type = 'html'
    ctx.set('Content-Language', chosen)
    ctx.vary('Accept-Language')
    // Pages show who is signed in and carry tokens: neither a proxy nor the back button may keep them.
    ctx.set('Cache-Control', 'no-store')
    const cspNonce = allowPage(ctx, options.formActions)
    ctx.body = views.render(name, data, { locale: chosen, cspNonce, path: ctx.path })
  }

  /** The head of a form on a page that is about to be rendered. */
  async function form(ctx: Context, action: string, next?: string): Promise<PageForm> {
    return { action, csrf: csrf.token(ctx, await signedInAs(ctx)), next }
  }

  /**
   * Reads a posted form and makes sure that it is ours, and that who is signed in is still who it was shown to.
   * @param options.signIn lets through a form that was shown before someone signed in: a sign-in form may arrive
   *   when its twin has just signed the browser in, which is harmless; the caller lets it do nothing else
   * @throws CsrfError, InvalidFormError, BodyTooLargeError
   */
  async function readForm(ctx: Context, { signIn = false } = {}): Promise<PostedForm> {
    if (!ctx.is('application/x-www-form-urlencoded')) {
      throw new PosternError('invalid_request', 'Forms are posted as application/x-www-form-urlencoded', {
        status: 415,
      })
    }
    const { values } = parseForm(await readBody(ctx.req, MAX_FORM_BYTES))
    const who = await signedInAs(ctx)
    const verified = csrf.verify(ctx, values.get('csrf'), who)
    if (verified.anonymous && who !== '' && !signIn) throw new CsrfError('shown before the sign-in')
    return { ...verified, fields: values }
  }

  /** The page that an error becomes. */
  function failure(
    ctx: Context,
    failed: { status: number; code: string; message: string; retryAfterSeconds?: number; words?: Words },
  ): void {
    if (failed.status === 503 || failed.status === 429) {
      const retryUrl = ctx.method === 'GET' ? (ctx.req as { originalUrl?: string }).originalUrl : undefined
      const { retryAfterSeconds = 5 } = failed
      // Here, as the library's own errors come by no other way.
      ctx.set('Retry-After', String(retryAfterSeconds))
      // What a limit refused is not in the log.
      const requestId = failed.status === 503 ? (ctx.state.requestId as string) : undefined
      render(ctx, 'busy', { retryAfterSeconds, retryUrl, requestId }, { status: failed.status })
      return
    }
    const kind = errorKind(failed)
    const data: PageData['error'] = {
      status: failed.status,
      heading: `error_page.${kind}.heading` as const,
      // What an app did wrong is told in the protocol's own words: it is for whoever makes the app.
      message:
        failed.words ?? (kind === 'bad_request' ? { text: failed.message } : `error_page.${kind}.message`),
      requestId: ctx.state.requestId as string,
    }
    render(ctx, 'error', data, { status: failed.status })
  }

  return { render, form, readForm, failure, locale }
}

export type Pages = ReturnType<typeof createPages>
