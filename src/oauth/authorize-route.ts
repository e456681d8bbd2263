import type { Knex } from 'knex'
import type { Context, Middleware } from 'koa'
import type Provider from 'oidc-provider'
import { formActionOf, type Pages } from '../server/pages.ts'
import { wasEverUsed } from '../sessions/store.ts'
import { clientSummary } from '../signin/client-summary.ts'
import { isUnavailable } from '../storage/availability.ts'
import { findClient } from './clients/store.ts'

/** An authorization response, as the library is about to send it. */
interface Response {
  error: string | undefined
  fields: Record<string, string>
}

interface LibraryContext extends Context {
  oidc: { params?: Record<string, unknown> }
}

interface LibraryError {
  error: string
  error_description?: string
}

function strings(fields: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/**
 * Around the library's authorization endpoint: its form_post page becomes one of ours, and an app that nobody has
 * approved yet gets no redirect that a person did not ask for: anyone can register one, and this service would be
 * an open redirector (RFC 9700 §4.11.2).
 */
export function createAuthorizeRoute(deps: {
  db: Knex
  provider: Provider
  pages: Pages
  library: Middleware
  issuer: string
}): Middleware {
  const { db, provider, pages, library, issuer } = deps

  provider.on('authorization.success', (ctx, out) => {
    const response: Response = { error: undefined, fields: strings(out as Record<string, unknown>) }
    ctx.state.authorizationResponse = response
  })
  provider.on('authorization.error', (ctx, error) => {
    const { error: code, error_description } = error as unknown as LibraryError
    const state = (ctx as unknown as LibraryContext).oidc.params?.state
    const response: Response = {
      error: code,
      fields: strings({ error: code, error_description, state, iss: issuer }),
    }
    ctx.state.authorizationResponse = response
  })

  /** Where a response goes and how; undefined when the library shows a page of its own instead. */
  function target(ctx: LibraryContext): { redirectUri: string; url: string | undefined } | undefined {
    const redirectUri = ctx.oidc.params?.redirect_uri
    if (typeof redirectUri !== 'string') return undefined
    const url = ctx.response.get('Location')
    if (url) return { redirectUri, url }
    const body: unknown = ctx.body
    const sendsForm = ctx.oidc.params?.response_mode === 'form_post' && typeof body === 'string'
    return sendsForm && body.includes('Submitting Callback') ? { redirectUri, url: undefined } : undefined
  }

  async function isUnapproved(clientId: unknown): Promise<boolean> {
    const client = await findClient(db, String(clientId))
    return client?.kind === 'dynamic' && !(await wasEverUsed(db, client.clientId))
  }

  async function showLeave(
    ctx: LibraryContext,
    response: Response,
    redirectUri: string,
    url: string | undefined,
  ) {
    const client = await findClient(db, String(ctx.oidc.params?.client_id))
    ctx.remove('Location')
    const query = new URL(redirectUri)
    for (const [name, value] of Object.entries(response.fields)) query.searchParams.set(name, value)
    const data = {
      client: client ? clientSummary(client, pages.locale(ctx), redirectUri) : { verified: false },
      url: url ?? query.href,
      error: response.error ?? '',
      description: response.fields.error_description,
    }
    pages.render(ctx, 'leave-to-app', data, { status: 400 })
  }

  return async (ctx, next) => {
    await library(ctx as never, next)
    const context = ctx as unknown as LibraryContext
    if (ctx.status === 500 && isUnavailable(ctx.state.serverError)) {
      pages.failure(context, {
        status: 503,
        code: 'temporarily_unavailable',
        message: '',
        retryAfterSeconds: 5,
      })
      return
    }
    const response: Response | undefined = ctx.state.authorizationResponse
    const leads = response && target(context)
    if (!response || !leads) return
    // Only where nobody has seen a page of ours yet: whoever said no on the consent page expects to go back.
    const direct = ctx.path === '/authorize'
    if (response.error && direct && (await isUnapproved(context.oidc.params?.client_id))) {
      return showLeave(context, response, leads.redirectUri, leads.url)
    }
    if (leads.url === undefined) {
      const formActions = [formActionOf(leads.redirectUri)]
      pages.render(
        context,
        'form-post',
        { action: leads.redirectUri, fields: response.fields },
        { formActions },
      )
    }
  }
}
