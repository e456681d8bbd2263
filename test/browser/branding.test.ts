import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadBranding } from '../../src/branding/load.ts'
import { loadConfig } from '../../src/config/index.ts'
import { pageSamples } from '../../src/views/page-samples.ts'
import { findings } from '../support/axe.ts'
import { type BrandingFolder, createBrandingFolder, svgOf } from '../support/branding.ts'
import { launchBrowser, newContext } from '../support/browser.ts'
import { sampleSlug, startGallery } from '../support/page-gallery.ts'

type Gallery = Awaited<ReturnType<typeof startGallery>>

let browser: Browser
let folder: BrandingFolder
/** The example of the guide, and everything at its most unusual. */
let galleries: Record<'example' | 'strong', Gallery>

const LONG = 'Verein zur Förderung freier Kommunikation und Nachbarschaftshilfe Bergisch Gladbach'

beforeAll(async () => {
  folder = await createBrandingFolder()
  const file = fileURLToPath(new URL('../../docs/branding-example/postern.yaml', import.meta.url))
  const { branding } = await loadConfig({ file, env: {}, cwd: '/' })
  const script = '<script>document.documentElement.setAttribute("data-ran", "yes")</script></svg>'
  await folder.put('wide.svg', svgOf('0 0 420 70').replace('</svg>', script))
  await folder.put('tall.svg', svgOf('0 0 60 180'))
  const strong = await folder.load({
    service_name: LONG,
    logo: 'wide.svg',
    logo_dark: 'tall.svg',
    accent_colour: '#786500',
    accent_colour_dark: '#ffd600',
    terms_url: 'https://example.org/terms',
    privacy_url: 'https://example.org/privacy',
  })
  galleries = {
    example: await startGallery(await loadBranding(branding, 'example.org')),
    strong: await startGallery(strong),
  }
  browser = await launchBrowser()
})

afterAll(async () => {
  await browser?.close()
  for (const gallery of Object.values(galleries ?? {})) await gallery.close()
  await folder?.close()
})

async function opened(options: Parameters<typeof newContext>[1]): Promise<Page> {
  return (await newContext(browser, options)).newPage()
}

/** Every page in one state; test/browser/pages.test.ts looks at all states. */
const slugs = pageSamples
  .filter(
    ({ page }, index) => page !== 'form-post' && pageSamples.findIndex((one) => one.page === page) === index,
  )
  .map(sampleSlug)

describe.each([
  ['example', 'light', 390],
  ['example', 'dark', 390],
  ['strong', 'light', 390],
  ['strong', 'light', 1280],
  ['strong', 'dark', 390],
  ['strong', 'dark', 1280],
] as const)('with the branding "%s" in the %s scheme at %s px', (name, colorScheme, width) => {
  it('axe finds nothing on any page, contrast included', async () => {
    const page = await opened({ colorScheme, viewport: { width, height: 800 } })
    for (const slug of slugs) {
      await page.goto(galleries[name].url(slug, width === 390 ? 'de' : 'en'))
      expect(await findings(page), slug).toEqual([])
    }
    await page.context().close()
  }, 240_000)
})

it.each(['example', 'strong'] as const)(
  'with the branding "%s" every page fits into 320 px, and its links at the foot are at least 44 px high',
  async (name) => {
    const page = await opened({ viewport: { width: 320, height: 640 } })
    for (const slug of slugs) {
      await page.goto(galleries[name].url(slug, 'de'))
      const overflow = await page.locator('html').evaluate((root) => root.scrollWidth - root.clientWidth)
      const heights = await page
        .locator('footer a')
        .evaluateAll((links) => links.map((link) => link.getBoundingClientRect().height))
      expect({ slug, overflow, links: heights.length }).toEqual({ slug, overflow: 0, links: 2 })
      expect(Math.min(...heights)).toBeGreaterThanOrEqual(43.5)
    }
    await page.context().close()
  },
  120_000,
)

describe('a logo', () => {
  it('is shown with its proportions, in each scheme its own, and never larger than its place', async () => {
    for (const [colorScheme, ratio] of [
      ['light', 6],
      ['dark', 1 / 3],
    ] as const) {
      const page = await opened({ colorScheme, viewport: { width: 320, height: 640 } })
      for (const slug of ['sign-in-plain', 'account-full']) {
        await page.goto(galleries.strong.url(slug))
        const box = (await page.locator('.brand img').boundingBox())!
        expect(box.width / box.height).toBeCloseTo(ratio, 0)
        expect(box.width).toBeLessThanOrEqual(288)
        expect(box.height).toBeLessThanOrEqual(100)
      }
      await page.context().close()
    }
  })

  it('runs no script, even where it is opened by itself', async () => {
    const page = await opened({})
    await page.goto(galleries.strong.url('sign-in-plain'))
    const address = (await page.locator('.brand img').getAttribute('src'))!
    await page.goto(new URL(address, page.url()).href)
    expect(await page.locator('svg').first().getAttribute('data-ran')).toBeNull()
    await page.context().close()
  })
})

it('links to terms and privacy policy by what they are, and leaves the form where it is', async () => {
  const page = await opened({})
  await page.goto(galleries.strong.url('sign-in-plain'))
  await page.getByLabel('Username').fill('alice')
  const terms = page.getByRole('contentinfo').getByRole('link', { name: 'Terms of use (opens in a new tab)' })
  const [tab] = await Promise.all([page.context().waitForEvent('page'), terms.click()])
  expect(await page.getByLabel('Username').inputValue()).toBe('alice')
  await tab.close()
  await page.getByRole('link', { name: 'Privacy policy (opens in a new tab)' }).waitFor()
  await page.context().close()
})
