import type nunjucks from 'nunjucks'
import type { Logger } from 'pino'
import { type Clock, systemClock } from '../clock.ts'
import { type Asset, createAssets } from './assets.ts'
import type { Branding } from './branding.ts'
import { createEnvironment } from './environment.ts'
import { createLinks } from './links.ts'
import type { Locale } from './messages.ts'
import type { PageData, PageName } from './page-data.ts'
import { layTemplates, readShippedTemplates } from './shipped-templates.ts'

export interface RenderOptions {
  locale: Locale
  cspNonce?: string | undefined
  /** The request's path, so that the navigation knows where it stands. */
  path: string
}

export interface Views {
  /** The whole HTML document of a page. Throws where the template uses something that `data` lacks. */
  render<Name extends PageName>(name: Name, data: PageData[Name], options: RenderOptions): string
  /** The style sheet, the script or a picture at this request path, or undefined. */
  asset(path: string): Asset | undefined
  /** What of the operator's is in force. */
  branding(): Branding
  /** The languages that pages come in. */
  languages(): Locale[]
  /** Reads and compiles every template anew; what it returns puts them in force. Throws where one is broken. */
  prepareReload(branding: Branding): () => void
}

export interface ViewsOptions {
  branding: Branding
  /** The path of the public address, with a slash at both ends (`/`, `/auth/`). */
  basePath: string
  clock?: Clock
  /** Told of templates of the operator's that fail on a page. Without it they throw. */
  log?: Logger | undefined
  /** Lets errors tell the place in a template where they happened (`placeOf`). */
  traceErrors?: boolean
}

type Environments = ReadonlyMap<Locale, nunjucks.Environment>

/** The pages: nunjucks with escaping always on, one environment per language. */
export function createViews({
  branding,
  basePath,
  clock = systemClock,
  log,
  traceErrors = false,
}: ViewsOptions): Views {
  const links = createLinks(basePath)

  function build(fresh: Branding) {
    const assets = createAssets({ basePath, branding: fresh })
    const shipped = readShippedTemplates()
    const environments = (own: Branding['templates']): Environments => {
      const templates = layTemplates(shipped, own)
      const options = { branding: fresh, templates, assets, links, clock, traceErrors }
      const languages = Object.keys(fresh.catalogue)
      return new Map(languages.map((locale) => [locale, createEnvironment({ ...options, locale })]))
    }
    return {
      branding: fresh,
      assets,
      own: environments(fresh.templates),
      // What stands in where a template of the operator's fails.
      shipped: fresh.templates.size > 0 && log ? environments(new Map()) : undefined,
      names: [...layTemplates(shipped, fresh.templates).keys()],
    }
  }

  let inForce = build(branding)
  let assetsBefore: typeof inForce.assets | undefined

  return {
    prepareReload(fresh) {
      const next = build(fresh)
      for (const environment of next.own.values())
        for (const name of next.names) environment.getTemplate(name, true)
      return () => {
        assetsBefore = inForce.assets
        inForce = next
      }
    },
    render(name, data, { locale, cspNonce, path }) {
      const page = (environments: Environments) =>
        environments.get(locale)!.render(`pages/${name}.njk`, { ...data, cspNonce, path, page: name })
      const { own, shipped } = inForce
      if (!shipped) return page(own)
      try {
        return page(own)
      } catch (err) {
        // Samples cannot show everything that may be on a page; nobody is to be locked out by it.
        log?.error({ err, page: name }, 'page.own_template_failed')
        return page(shipped)
      }
    },
    // Pages that are open since before a reload may still ask for what they were made with.
    asset: (path) => inForce.assets.serve(path) ?? assetsBefore?.serve(path),
    branding: () => inForce.branding,
    languages: () => Object.keys(inForce.branding.catalogue),
  }
}
