import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { templatesFolder } from './templates-folder.ts'

/** One file each as the browser sees it; the style sheet is kept in parts and sent as one. */
const SOURCES = [
  {
    name: 'style.css',
    type: 'text/css; charset=utf-8',
    files: ['tokens.css', 'base.css', 'layout.css', 'forms.css', 'parts.css'],
  },
  { name: 'script.js', type: 'text/javascript; charset=utf-8', files: ['script.js'] },
  { name: 'logo.svg', type: 'image/svg+xml', files: ['logo.svg'] },
] as const

export type AssetName = (typeof SOURCES)[number]['name']

export interface Asset {
  body: Buffer
  type: string
  headers: Record<string, string>
}

export interface Assets {
  /** The asset's path with its content's hash in the name, below the service's own path. */
  url(name: AssetName): string
  /** The asset at this request path, or undefined. Only exact paths that `url` gives are known. */
  serve(path: string): Asset | undefined
}

/** Reads the style sheet, the script and the logo once. The name changes with the content, so caches keep it for good. */
export function createAssets({ basePath }: { basePath: string }): Assets {
  const urls = new Map<string, string>()
  const byPath = new Map<string, Asset>()

  for (const { name, type, files } of SOURCES) {
    const body = Buffer.concat(files.map((file) => readFileSync(new URL(`assets/${file}`, templatesFolder))))
    const hash = createHash('sha256').update(body).digest('hex').slice(0, 12)
    const path = `${basePath}assets/${name.replace('.', `.${hash}.`)}`
    urls.set(name, path)
    byPath.set(path, { body, type, headers: { 'Cache-Control': 'public, max-age=31536000, immutable' } })
  }

  return {
    url: (name) => urls.get(name)!,
    serve: (path) => byPath.get(path),
  }
}
