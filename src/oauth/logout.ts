import type Router from '@koa/router'
import type { Knex } from 'knex'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { PosternError } from '../errors.ts'
import { formActionOf, type Pages } from '../server/pages.ts'
import type { Browser } from '../signin/browser.ts'
import { clientSummary } from '../signin/client-summary.ts'
import type { Client } from './clients/clients.ts'
import { findClient } from './clients/store.ts'
import { parseForm } from './form.ts'
import { checkedForm } from './token-route.ts'

export interface LogoutDeps {
  db: Knex
  provider: Provider
  pages: Pages
  browser: Browser
  serverName: string
  basePath: string
}

/** A logout request that was checked: who asks, and where to go after. */
interface Logout {
  client: Client | undefined
  redirectTo: string | undefined
}

function refused(message: string): PosternError {
  return new PosternError('invalid_request', message)
}

/** The client that an id_token was made for, read before its signature can be checked with that client's algorithm. */
function audienceOf(idToken: string): string {
  try {
    const payload = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8'))
    if (typeof payload.aud === 'string') return payload.aud
  } catch {
    // Falls through to the same answer as a token without an audience.
  }
  throw refused('id_token_hint is not an id_token of this service')
}

/**
 * RP-Initiated Logout 1.0. It signs this browser out, not the app: an app ends its own session by revoking its
 * token. Websites that asked to be told are signed out with the browser (`endWebsitesOfBrowserWithin`). Nobody is
 * signed out without pressing a button here, so that no other site can do it to people.
 */
export function addLogoutRoutes(router: Router, deps: LogoutDeps): void {
  const { db, provider, pages, browser, serverName, basePath } = deps
  const action = `${basePath}oauth2/logout/confirm`

  async function clientOf(params: ReadonlyMap<string, string>): Promise<Client | undefined> {
    const hint = params.get('id_token_hint')
    const named = params.get('client_id')
    const clientId = hint === undefined ? named : audienceOf(hint)
    if (clientId === undefined) return undefined
    if (named !== undefined && named !== clientId) throw refused('client_id is not the one in id_token_hint')
    const client = await findClient(db, clientId)
    const known = client && (await provider.Client.find(clientId))
    if (!client || !known) throw refused('this app is not known here')
    if (hint !== undefined) {
      // An expired hint is fine: it still tells which app asks (RP-Initiated Logout §2).
      await provider.IdToken.validate(hint, known).catch(() => {
        throw refused('id_token_hint is not an id_token of this service')
      })
    }
    return client
  }

  async function check(params: ReadonlyMap<string, string>): Promise<Logout> {
    const client = await clientOf(params)
    const uri = params.get('post_logout_redirect_uri')
    if (uri === undefined) return { client, redirectTo: undefined }
    if (!client?.metadata.post_logout_redirect_uris?.includes(uri)) {
      throw refused('post_logout_redirect_uri is not registered for this app')
    }
    const target = new URL(uri)
    const state = params.get('state')
    if (state !== undefined) target.searchParams.set('state', state)
    return { client, redirectTo: target.href }
  }

  function leave(ctx: Context, redirectTo: string | undefined): void {
    ctx.redirect(redirectTo ?? `${basePath}sign-out`)
    ctx.status = 303
  }

  async function ask(ctx: Context, params: ReadonlyMap<string, string>): Promise<void> {
    const { client, redirectTo } = await check(params)
    const current = await browser.current(ctx)
    if (!current) return leave(ctx, redirectTo)
    const data = {
      // The request is checked again when the form comes back: it carries what was asked for, not where to go.
      form: await pages.form(ctx, action, new URLSearchParams([...params]).toString()),
      user: { mxid: `@${current.user.localpart}:${serverName}` },
      client: client && clientSummary(client, pages.locale(ctx, params.get('ui_locales')), redirectTo),
    }
    const formActions = redirectTo === undefined ? [] : [formActionOf(redirectTo)]
    pages.render(ctx, 'sign-out', data, { formActions, uiLocales: params.get('ui_locales') })
  }

  router.get('/oauth2/logout', (ctx) => {
    const { values, duplicates } = parseForm(ctx.querystring)
    if (duplicates.length > 0) throw refused(`'${duplicates[0]}' parameter must not be provided twice`)
    return ask(ctx, values)
  })
  router.post('/oauth2/logout', async (ctx) => {
    // Posted from an app's page it comes without our cookies (SameSite): it goes on as the GET that it means.
    const params = await checkedForm(ctx)
    ctx.redirect(`${basePath}oauth2/logout?${new URLSearchParams([...params])}`)
    ctx.status = 303
  })
  router.post('/oauth2/logout/confirm', async (ctx) => {
    const { fields } = await pages.readForm(ctx)
    const { redirectTo } = await check(parseForm(fields.get('next') ?? '').values)
    await browser.signOut(ctx)
    leave(ctx, redirectTo)
  })
}
