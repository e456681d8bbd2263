import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { accentStyles } from './accent-styles.ts'
import type { Branding, Picture } from './branding.ts'
import { templatesFolder } from './templates-folder.ts'

const STYLES = ['tokens.css', 'base.css', 'layout.css', 'forms.css', 'parts.css']

/**
 * A picture may be opened by itself, and an SVG is a document then: without scripts, without anything from elsewhere,
 * and in an origin of its own, so that it can do no more than as a picture on a page.
 */
const PICTURE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"

export interface Asset {
  body: Buffer
  type: string
  headers: Record<string, string>
}

export interface Assets {
  /** The asset's path with its content's hash in the name, below the service's own path. Throws for any other name. */
  url(name: string): string
  /** The asset at this request path, or undefined. Only exact paths that `url` gives are known. */
  serve(path: string): Asset | undefined
  /** Our own logo, which stands where the operator has none. */
  shippedLogo: Picture
}

const read = (file: string) => readFileSync(new URL(`assets/${file}`, templatesFolder))

/** Reads the style sheet, the script and the logo once. The name changes with the content, so caches keep it for good. */
export function createAssets({ basePath, branding }: { basePath: string; branding: Branding }): Assets {
  const urls = new Map<string, string>()
  const byPath = new Map<string, Asset>()

  function add(name: string, extension: string, body: Buffer, type: string, policy?: string): void {
    const hash = createHash('sha256').update(body).digest('hex').slice(0, 12)
    const path = `${basePath}assets/${name}.${hash}.${extension}`
    urls.set(name, path)
    byPath.set(path, {
      body,
      type,
      headers: {
        'Cache-Control': 'public, max-age=31536000, immutable',
        ...(policy && { 'Content-Security-Policy': policy }),
      },
    })
  }

  const addPicture = (name: string, { extension, body, type }: Picture) =>
    add(name, extension, body, type, PICTURE_POLICY)

  const styles = Buffer.concat([...STYLES.map(read), Buffer.from(accentStyles(branding.accents))])
  add('style', 'css', styles, 'text/css; charset=utf-8')
  add('script', 'js', read('script.js'), 'text/javascript; charset=utf-8')
  const shippedLogo: Picture = {
    body: read('logo.svg'),
    type: 'image/svg+xml',
    extension: 'svg',
    width: 48,
    height: 48,
  }
  addPicture('logo', branding.logo ?? shippedLogo)
  if (branding.logoDark) addPicture('logo-dark', branding.logoDark)

  return {
    url(name) {
      const url = urls.get(name)
      if (url === undefined)
        throw new Error(`There is no asset "${name}"; there are ${[...urls.keys()].join(', ')}`)
      return url
    },
    serve: (path) => byPath.get(path),
    shippedLogo,
  }
}
