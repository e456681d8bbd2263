import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import loglevel from 'loglevel'
import { createClient, type MatrixClient } from 'matrix-js-sdk'
import { type Logger, logger } from 'matrix-js-sdk/lib/logger.js'
import { OAuth2 } from 'matrix-js-sdk/lib/oauth/index.js'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { newContext } from './browser.ts'
import { PASSWORD } from './oauth.ts'

// js-sdk tells everything that it does.
loglevel.getLogger('matrix').setLevel('silent')

/** For a client with encryption, whose parts make loggers of their own. */
export const silent: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  getChild: () => silent,
}
// Calls write by children of this one, whatever a client is given.
logger.getChild = () => silent

/** An app in the browser: a page on this machine that people are sent back to. */
export interface App {
  url: string
  redirectUri: string
  close(): Promise<void>
}

export async function startApp(): Promise<App> {
  const server = createServer((_req, res) =>
    res.setHeader('content-type', 'text/html').end('<h1>The app</h1>'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://localhost:${port}/`
  return {
    url,
    redirectUri: `${url}callback`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** A signed-in Matrix client with what it needs to refresh and to revoke. */
export interface SignedInClient {
  client: MatrixClient
  oauth: OAuth2
  accessToken: string
  refreshToken: string
  deviceId: string
  context: BrowserContext
}

/** What js-sdk does before a sign-in: metadata through the homeserver, then its registration. */
export async function prepareOAuth(homeserver: string, app: App): Promise<OAuth2> {
  const metadata = await createClient({ baseUrl: homeserver }).getAuthMetadata()
  const clientId = await OAuth2.registerClient(metadata, {
    client_name: 'Test app',
    client_uri: app.url,
    redirect_uris: [app.redirectUri],
    application_type: 'web',
  })
  return new OAuth2(metadata, { clientId })
}

/** Fills in the sign-in page by its labels and presses its button. */
export async function fillSignIn(page: Page, username: string): Promise<void> {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

export interface SignInOptions {
  homeserver: string
  app: App
  browser: Browser
  username: string
  responseMode?: 'fragment' | 'query'
  scope?: string
}

/** Signs a person in as an app does: in a real browser, on our pages, back to the app, tokens for the code. */
export async function signInWithBrowser(options: SignInOptions): Promise<SignedInClient> {
  const { homeserver, app, browser, username, responseMode = 'query' } = options
  const oauth = await prepareOAuth(homeserver, app)
  const url = await oauth.generateAuthorizationCodeGrantUrl(
    'state-of-the-app',
    app.redirectUri,
    responseMode,
    undefined,
    options.scope,
  )
  const context = await newContext(browser)
  const page = await context.newPage()
  await page.goto(url)
  await fillSignIn(page, username)
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.waitForURL(`${app.redirectUri}**`)
  const back = new URL(page.url())
  const answer = responseMode === 'fragment' ? new URLSearchParams(back.hash.slice(1)) : back.searchParams
  const code = answer.get('code')
  if (answer.get('state') !== 'state-of-the-app' || !code) throw new Error(`No code came back: ${back}`)
  const tokens = await oauth.completeAuthorizationCodeGrant(code, app.redirectUri)
  return clientOf(oauth, tokens, { homeserver, context })
}

export function clientOf(
  oauth: OAuth2,
  tokens: { access_token: string; refresh_token?: string },
  { homeserver, context, userId }: { homeserver: string; context: BrowserContext; userId?: string },
): SignedInClient {
  const { deviceId } = oauth.context
  const identity = userId === undefined ? {} : { userId }
  return {
    client: createClient({ baseUrl: homeserver, accessToken: tokens.access_token, deviceId, ...identity }),
    oauth,
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token ?? '',
    deviceId,
    context,
  }
}
