// Writes every sample page as a picture, for people to look at:
//   node test/support/screenshots.ts [part of a name] [configuration file whose branding to show]
import { mkdir } from 'node:fs/promises'
import { loadBranding } from '../../src/branding/load.ts'
import { loadConfig } from '../../src/config/index.ts'
import { pageSamples } from '../../src/views/page-samples.ts'
import { launchBrowser, newContext } from './browser.ts'
import { sampleSlug, startGallery } from './page-gallery.ts'

const folder = new URL('../../.cache/screenshots/', import.meta.url)
const [, , wanted = '', file] = process.argv

async function branding(path: string) {
  const config = await loadConfig({ file: path, env: {}, cwd: process.cwd() })
  return loadBranding(config.branding, config.matrix.server_name)
}

await mkdir(folder, { recursive: true })
const gallery = await startGallery(file === undefined ? undefined : await branding(file))
const browser = await launchBrowser()
for (const width of [390, 1280]) {
  for (const colorScheme of ['light', 'dark'] as const) {
    const context = await newContext(browser, {
      colorScheme,
      viewport: { width, height: width === 390 ? 844 : 800 },
    })
    const page = await context.newPage()
    for (const slug of pageSamples.map(sampleSlug).filter((name) => name.includes(wanted))) {
      const locale = process.env.LOCALE ?? 'en'
      await page.goto(gallery.url(slug, locale), { waitUntil: 'load' })
      await page.screenshot({
        path: new URL(`${slug}-${width}-${colorScheme}.png`, folder).pathname,
        fullPage: true,
      })
    }
    await context.close()
  }
}
await browser.close()
await gallery.close()
