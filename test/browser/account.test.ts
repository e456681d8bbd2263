import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser, newContext } from '../support/browser.ts'
import { addUser, introspect, obtainTokens, PASSWORD, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let browser: Browser
let clientId: string
/** An app's page, of another site than the service (`127.0.0.1`, not `localhost`). */
let app: Server
let appUrl: string
let appPage = ''

beforeAll(async () => {
  app = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(appPage)
  }).listen(0, '127.0.0.1')
  await once(app, 'listening')
  appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}/`
  postern = await startPostern()
  clientId = await registerClient(postern, {
    client_uri: appUrl,
    redirect_uris: [`${appUrl}callback`],
    post_logout_redirect_uris: [`${appUrl}signed-out`],
  })
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await postern?.close()
  app?.close()
  app?.closeAllConnections()
})

const tokensOf = (username: string) =>
  obtainTokens(postern, clientId, username, { params: { redirect_uri: `${appUrl}callback` } })

async function signedIn(username: string, options: BrowserContextOptions): Promise<Page> {
  const page = await (await newContext(browser, options)).newPage()
  await page.goto(`${postern.url}account`)
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1, name: 'Your account' }).waitFor()
  return page
}

describe.each([true, false])('with script: %s', (javaScriptEnabled) => {
  const options = { javaScriptEnabled }
  const suffix = javaScriptEnabled ? 'with' : 'without'

  test('a person finds an app, reads about it and signs it out', async () => {
    const name = `alice-${suffix}`
    await addUser(postern, name)
    const tokens = await tokensOf(name)
    const page = await signedIn(name, options)
    await page.getByText(`@${name}:localhost.test`).first().waitFor()
    await page.getByRole('link', { name: 'Test app', exact: true }).click()
    await page.getByText('ABCDEFGHIJ').waitFor()
    await page.getByRole('link', { name: 'Sign out', exact: true }).last().click()
    await page.getByRole('heading', { name: 'Sign out Test app?' }).waitFor()
    await page.getByRole('link', { name: 'Keep it signed in' }).click()
    await page.getByRole('link', { name: 'Sign out Test app' }).click()
    await page.getByRole('button', { name: 'Sign out Test app' }).click()
    await page.getByRole('status').getByText('The app is signed out.').waitFor()
    await page.getByText('No app is signed in to your account.').waitFor()
    expect((await introspect(postern, tokens.access_token)).body).toEqual({ active: false })
    await page.context().close()
  })

  test('a person signs another browser out', async () => {
    const name = `bob-${suffix}`
    await addUser(postern, name)
    const other = await signedIn(name, options)
    const page = await signedIn(name, options)
    await page.getByRole('button', { name: /^Sign out Chrome/ }).click()
    await page.getByRole('status').getByText('The browser is signed out.').waitFor()
    await other.reload()
    await other.getByLabel('Username').waitFor()
    await page.context().close()
    await other.context().close()
  })

  test('a person changes the password, stays signed in, and the old one is dead', async () => {
    const name = `carol-${suffix}`
    await addUser(postern, name)
    const page = await signedIn(name, options)
    await page.getByRole('link', { name: 'Password', exact: true }).click()
    const fill = async (current: string, next: string, again = next) => {
      await page.getByLabel('Current password').fill(current)
      await page.getByLabel('New password', { exact: true }).fill(next)
      await page.getByLabel('New password again').fill(again)
      await page.getByRole('button', { name: 'Change password' }).click()
    }
    await fill('not the password', 'another long passphrase')
    await page.getByRole('alert').waitFor()
    expect(await page.title()).toMatch(/^Error: /)
    expect(await page.getByLabel('New password', { exact: true }).inputValue()).toBe('')
    await fill(PASSWORD, 'another long passphrase')
    await page.getByRole('status').getByText('Your password is changed.').waitFor()
    await page.reload()
    await page.getByText(`@${name}:localhost.test`).first().waitFor()
    await page.context().close()
  })

  test('a person allows the reset of their encryption identity', async () => {
    const name = `dora-${suffix}`
    await addUser(postern, name)
    const page = await signedIn(name, options)
    await page.goto(`${postern.url}account?action=org.matrix.cross_signing_reset`)
    await page.getByText('You may lose messages for good').waitFor()
    await page.getByRole('button', { name: 'Allow the reset' }).click()
    await page.getByRole('status').getByText('You have 10 minutes.').waitFor()
    await page.context().close()
  })

  test('the first administrator is made by a link and lands on the account page', async () => {
    const fresh = await startPostern()
    const page = await (await newContext(browser, options)).newPage()
    await page.goto(`${fresh.url}${(await fresh.app.firstAdmin.issue())?.slice(1)}`)
    await page.getByLabel('Username').fill('admin')
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await page.getByLabel('Password again').fill(PASSWORD)
    await page.getByRole('button', { name: 'Create account' }).click()
    await page.getByText('@admin:localhost.test').first().waitFor()
    await page.context().close()
    await fresh.close()
  })
})

test('a person whom an app on another site sends to sign out, by a form, is asked and sent back', async () => {
  await addUser(postern, 'erin')
  const { id_token } = await tokensOf('erin')
  const page = await signedIn('erin', {})
  appPage = `<form method="post" action="${postern.url}oauth2/logout">
    <input type="hidden" name="id_token_hint" value="${id_token}">
    <input type="hidden" name="post_logout_redirect_uri" value="${appUrl}signed-out">
    <input type="hidden" name="state" value="back">
    <button>Leave</button></form>`
  await page.goto(appUrl)
  await page.getByRole('button', { name: 'Leave' }).click()
  await page.getByText(`${new URL(appUrl).host} asks to sign you out.`).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL(`${appUrl}signed-out?state=back`)
  await page.goto(`${postern.url}account`)
  await page.getByLabel('Username').waitFor()
  await page.context().close()
})
