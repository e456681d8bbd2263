import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pageSamples } from '../../src/views/page-samples.ts'
import { findings } from '../support/axe.ts'
import { launchBrowser, newContext } from '../support/browser.ts'
import { sampleSlug, startGallery } from '../support/page-gallery.ts'

let browser: Browser
let gallery: Awaited<ReturnType<typeof startGallery>>

beforeAll(async () => {
  gallery = await startGallery()
  browser = await launchBrowser()
})

afterAll(async () => {
  await browser?.close()
  await gallery?.close()
})

async function open(
  slug: string,
  options: Parameters<typeof newContext>[1] = {},
  locale: 'en' | 'de' = 'en',
) {
  const context = await newContext(browser, options)
  const page = await context.newPage()
  await page.goto(gallery.url(slug, locale))
  return page
}

const TARGETS = 'button, input:not([type=hidden], .hidden), nav a, a.button'

/** The pages that stay: the form to an app sends itself off. */
const slugs = pageSamples.filter(({ page }) => page !== 'form-post').map(sampleSlug)

describe.each(['light', 'dark'] as const)('in the %s scheme', (colorScheme) => {
  it('axe finds nothing on any page, on a phone and on a desktop', async () => {
    for (const width of [390, 1280]) {
      const page = await open(slugs[0]!, {
        colorScheme,
        javaScriptEnabled: true,
        viewport: { width, height: 800 },
      })
      for (const slug of slugs) {
        await page.goto(gallery.url(slug, width === 390 ? 'de' : 'en'))
        expect(await findings(page), `${slug} at ${width} px`).toEqual([])
      }
      await page.context().close()
    }
  }, 240_000)
})

describe('every page', () => {
  it('fits into 320 px, in German too, and its targets are at least 44 px high', async () => {
    const page = await open(slugs[0]!, { viewport: { width: 320, height: 640 } })
    for (const slug of slugs) {
      await page.goto(gallery.url(slug, 'de'))
      const overflow = await page.locator('html').evaluate((root) => root.scrollWidth - root.clientWidth)
      const small = await page.locator(TARGETS).evaluateAll((elements) =>
        elements
          .map((element) => (element.matches('[type=checkbox]') ? element.parentElement! : element))
          .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 43.5)
          .map((element) => element.outerHTML.slice(0, 100)),
      )
      expect({ slug, overflow, small }).toEqual({ slug, overflow: 0, small: [] })
    }
    await page.context().close()
  }, 120_000)

  it('says nothing in the console, so that the policy lets through what it needs', async () => {
    const page = await open(slugs[0]!)
    const messages: string[] = []
    // An app's logo is elsewhere, and these tests reach nothing but this machine; and where there are errors to
    // read, their summary has the focus instead of the field, which Chromium remarks upon.
    const expected = ['net::ERR_FAILED', 'Autofocus processing was blocked']
    page.on('console', (message) => {
      if (!expected.some((text) => message.text().includes(text))) messages.push(message.text())
    })
    page.on('pageerror', (error) => messages.push(error.message))
    for (const slug of slugs) await page.goto(gallery.url(slug))
    expect(messages).toEqual([])
    await page.context().close()
  }, 120_000)
})

describe('signing in', () => {
  it('works by keyboard alone, with the labels that a screen reader says', async () => {
    const page = await open('sign-in-for-an-app')
    // The page gives the first field the focus, on a busy machine not at once.
    await page.waitForFunction("document.activeElement?.tagName === 'INPUT'")
    await page.keyboard.type('alice')
    await page.keyboard.press('Tab')
    await page.keyboard.type('correct horse')
    expect(await page.getByLabel('Username').inputValue()).toBe('alice')
    expect(await page.getByLabel('Password', { exact: true }).inputValue()).toBe('correct horse')
    const request = page.waitForRequest((sent) => sent.method() === 'POST')
    await page.keyboard.press('Enter')
    const body = new URLSearchParams((await request).postData() ?? '')
    expect(Object.fromEntries(body)).toMatchObject({ username: 'alice', password: 'correct horse' })
    expect(body.has('action')).toBe(false)
    await page.context().close()
  })

  it('is filled by password managers: both fields have their autocomplete in one form', async () => {
    const page = await open('sign-in-plain', { javaScriptEnabled: false })
    const form = page.locator('form')
    expect(await form.getByLabel('Username').getAttribute('autocomplete')).toBe('username')
    expect(await form.getByLabel('Password', { exact: true }).getAttribute('autocomplete')).toBe(
      'current-password',
    )
    await page.context().close()
  })

  it('can be cancelled without filling anything in', async () => {
    const page = await open('sign-in-for-an-app', { javaScriptEnabled: false })
    const request = page.waitForRequest((sent) => sent.method() === 'POST')
    await page.getByRole('button', { name: 'Cancel' }).click()
    expect((await request).postData()).toContain('action=cancel')
    await page.context().close()
  })

  it.each([true, false])(
    'leads from the error summary to the field (script: %s)',
    async (javaScriptEnabled) => {
      const page = await open('sign-in-nothing-entered', { javaScriptEnabled })
      const alert = page.getByRole('alert')
      await alert.waitFor()
      expect(await alert.evaluate((element) => element.matches(':focus'))).toBe(true)
      await alert.getByRole('link', { name: 'Enter your password.' }).click()
      const password = page.getByLabel('Password', { exact: true })
      expect(await password.evaluate((element) => element.matches(':focus'))).toBe(true)
      expect(await password.getAttribute('aria-invalid')).toBe('true')
      expect(await page.title()).toMatch(/^Error: /)
      await page.context().close()
    },
  )

  it('shows the password while asked to, and sends it as a password', async () => {
    const page = await open('sign-in-plain')
    const password = page.getByLabel('Password', { exact: true })
    await password.fill('correct horse')
    await page.getByRole('button', { name: 'Show password' }).click()
    expect(await password.getAttribute('type')).toBe('text')
    await page.getByLabel('Username').fill('alice')
    // The page goes away with the form: note the field's type at the moment when it is sent.
    const typeWhenSent = page.evaluate(`new Promise((resolve) => {
      addEventListener('submit', (event) => {
        event.preventDefault()
        resolve(document.querySelector('[name=password]').type)
      })
    })`)
    await page.getByRole('button', { name: 'Sign in' }).click()
    expect(await typeWhenSent).toBe('password')
    await page.context().close()
  })

  it('sends one form when the button is pressed twice', async () => {
    const page = await open('sign-in-plain')
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password', { exact: true }).fill('correct horse')
    const before = gallery.posts.length
    const sent = page.waitForRequest((request) => request.method() === 'POST')
    await page.getByRole('button', { name: 'Sign in' }).dblclick()
    await (await sent).response()
    expect(gallery.posts.length).toBe(before + 1)
    await page.context().close()
  })
})

describe('consent and device pages', () => {
  it('name the answer that was pressed, without a script', async () => {
    for (const [slug, name, value] of [
      ['consent-new-device', 'Continue', 'continue'],
      ['consent-new-device', 'Cancel', 'cancel'],
      ['consent-new-device', 'Not you?', 'switch'],
      ['link-confirm-phone', 'Yes, sign it in', 'approve'],
      ['link-confirm-phone', 'No, refuse', 'deny'],
      ['choose-account-for-an-app', 'Continue as Alice Archer', 'continue'],
      ['choose-account-for-an-app', 'Sign in as someone else', 'switch'],
    ] as const) {
      const page = await open(slug, { javaScriptEnabled: false })
      const request = page.waitForRequest((sent) => sent.method() === 'POST')
      await page.getByRole('button', { name, exact: true }).click()
      expect(new URLSearchParams((await request).postData() ?? '').get('action')).toBe(value)
      await page.context().close()
    }
  })

  it('show the letters where a logo does not load', async () => {
    const page = await open('consent-new-device')
    const logo = page.locator('img[src*="app.element.io"]')
    await page.waitForLoadState('load')
    expect(await logo.evaluate((element) => element.getBoundingClientRect().width)).toBe(0)
    await page.context().close()
  })
})

describe('the account page', () => {
  it('gives every button a name of its own', async () => {
    const page = await open('account-full')
    await page.getByRole('link', { name: 'Sign out Nheko' }).waitFor()
    await page.getByRole('button', { name: 'Sign out Safari on iPhone' }).waitFor()
    expect(await page.getByRole('navigation', { name: 'Account' }).getByRole('link').count()).toBe(4)
    expect(await page.getByRole('link', { name: 'Overview' }).getAttribute('aria-current')).toBe('page')
    await page.context().close()
  })

  it('lets the keyboard skip the navigation', async () => {
    const page = await open('account-full')
    await page.keyboard.press('Tab')
    const skip = page.getByRole('link', { name: 'Skip to the content' })
    expect(await skip.evaluate((element) => element.matches(':focus'))).toBe(true)
    await page.keyboard.press('Enter')
    expect(await page.getByRole('main').evaluate((element) => element.matches(':focus'))).toBe(true)
    await page.context().close()
  })

  it('hides what needs a script where there is none', async () => {
    const page = await open('account-full', { javaScriptEnabled: false })
    expect(await page.getByRole('button', { name: 'Copy user ID' }).count()).toBe(0)
    await page.context().close()
  })
})

describe('the answer to an app as a form', () => {
  it('goes on by itself, and by a button where there is no script', async () => {
    const before = gallery.posts.length
    const page = await open('form-post-to-a-web-app', { javaScriptEnabled: false })
    expect(gallery.posts.length).toBe(before)
    await page.getByRole('button', { name: 'Continue' }).waitFor()
    await page.context().close()

    const scripted = await (await newContext(browser)).newPage()
    const request = scripted.waitForRequest((sent) => sent.method() === 'POST')
    await scripted.goto(gallery.url('form-post-to-a-web-app'), { waitUntil: 'commit' })
    const body = new URLSearchParams((await request).postData() ?? '')
    expect(Object.fromEntries(body)).toEqual({ code: 'sample', state: '"><img src=x onerror=alert(1)>' })
    await scripted.context().close()
  })
})
