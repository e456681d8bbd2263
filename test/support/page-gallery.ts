import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Branding,
  createViews,
  type Locale,
  type PageData,
  type PageName,
  plainBranding,
  type Views,
} from '../../src/views/index.ts'
import { pageSamples, sampleNow } from '../../src/views/page-samples.ts'

/** As strict as the service's own: nothing inline, nothing from elsewhere but an app's logo. */
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https:; form-action 'self'; " +
  "base-uri 'none'; frame-ancestors 'none'"

const createPages = (branding: Branding) =>
  createViews({ branding, basePath: '/', clock: { now: () => sampleNow } })

const plain = createPages(plainBranding('example.org'))

/** A sample page's document. The casts hold because samples are typed where they are written. */
export function renderSample(
  sample: (typeof pageSamples)[number],
  locale: Locale,
  views: Views = plain,
): string {
  return views.render(sample.page as PageName, sample.data as PageData[PageName], {
    locale,
    path: sample.path,
  })
}

/** A name for a sample that fits into a path. */
export function sampleSlug(sample: (typeof pageSamples)[number]): string {
  return `${sample.page}-${sample.state.replace(/[^a-z]+/g, '-')}`
}

/** Serves every sample at `/<locale>/<slug>` on a free port of this machine; `posts` counts what forms sent. */
export async function startGallery(branding?: Branding) {
  const views = branding ? createPages(branding) : plain
  const pages = new Map(pageSamples.map((sample) => [sampleSlug(sample), sample]))
  const posts: string[] = []

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (request.method === 'POST') {
      posts.push(pathname)
      return response.writeHead(200, { 'Content-Type': 'text/plain' }).end('Sent')
    }
    const asset = views.asset(pathname)
    if (asset)
      return response.writeHead(200, { ...asset.headers, 'Content-Type': asset.type }).end(asset.body)
    const [, locale, slug = ''] = pathname.split('/')
    const sample = pages.get(slug)
    if (!sample || !locale || !views.languages().includes(locale)) return response.writeHead(404).end()
    response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': POLICY })
    response.end(renderSample(sample, locale, views))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    posts,
    url: (slug: string, locale: Locale = 'en') =>
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/${locale}/${slug}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  }
}
