import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import nunjucks from 'nunjucks'
import { type Clock, systemClock } from '../clock.ts'
import { type AssetName, createAssets } from './assets.ts'
import { createLinks } from './links.ts'
import { createTranslate, type Locale } from './messages.ts'
import type { ClientSummary, PageData, PageName, Words } from './page-data.ts'
import { appName, errorLines, words } from './template-helpers.ts'
import { templatesFolder } from './templates-folder.ts'
import { createTimeWords } from './time.ts'
import { cleanText, initials, isWebAddress } from './untrusted-text.ts'

export interface RenderOptions {
  locale: Locale
  cspNonce?: string | undefined
  /** The request's path, so that the navigation knows where it stands. */
  path: string
}

export interface Views {
  /** The whole HTML document of a page. Throws where the template uses something that `data` lacks. */
  render<Name extends PageName>(name: Name, data: PageData[Name], options: RenderOptions): string
  /** Reads and compiles every template anew; what it returns puts them in force. Throws where one is broken. */
  prepareReload(): () => void
}

export interface ViewsOptions {
  /** What the service calls itself on its pages: the operator's name, or the server name. */
  serviceName: string
  /** The path of the public address, with a slash at both ends (`/`, `/auth/`). */
  basePath: string
  /** Reads templates anew each time. */
  dev?: boolean | undefined
  clock?: Clock
}

/** The pages: nunjucks with escaping always on, one environment per language. */
export function createViews({
  serviceName,
  basePath,
  dev = false,
  clock = systemClock,
}: ViewsOptions): Views {
  const assets = createAssets({ basePath })
  const links = createLinks(basePath)

  function createEnvironment(locale: Locale): nunjucks.Environment {
    const loader = new nunjucks.FileSystemLoader(fileURLToPath(templatesFolder), { noCache: dev })
    const environment = new nunjucks.Environment(loader, {
      autoescape: true,
      throwOnUndefined: true,
      trimBlocks: true,
      lstripBlocks: true,
    })
    const t = createTranslate(locale)
    const time = createTimeWords(locale, () => clock.now())
    // Only dates in words stand here, nothing that anyone typed.
    const element = (at: Date, text: string) =>
      new nunjucks.runtime.SafeString(
        `<time datetime="${at.toISOString()}" title="${time.exact(at)}">${text}</time>`,
      )

    environment.addGlobal('locale', locale)
    environment.addGlobal('serviceName', serviceName)
    environment.addGlobal('links', links)
    environment.addGlobal('asset', (name: AssetName) => assets.url(name))
    environment.addGlobal('t', t)
    environment.addGlobal('appName', (client: ClientSummary) => appName(client, t))
    environment.addGlobal('words', (value: Words) => words(value, t))
    environment.addGlobal('errorLines', errorLines)
    environment.addFilter('clean', (text: unknown) => cleanText(String(text)))
    environment.addFilter('initials', initials)
    environment.addFilter('isWebAddress', isWebAddress)
    environment.addFilter('exactTime', (at: Date) => time.exact(at))
    environment.addFilter('time', (at: Date) => element(at, time.words(at)))
    environment.addFilter('date', (at: Date) => element(at, time.date(at)))
    return environment
  }

  const createEnvironments = () => ({ en: createEnvironment('en'), de: createEnvironment('de') })
  let environments = createEnvironments()

  return {
    prepareReload() {
      const fresh = createEnvironments()
      const files = readdirSync(templatesFolder, { recursive: true, encoding: 'utf8' })
      for (const environment of Object.values(fresh))
        for (const file of files) if (file.endsWith('.njk')) environment.getTemplate(file, true)
      return () => {
        environments = fresh
      }
    },
    render(name, data, { locale, cspNonce, path }) {
      return environments[locale].render(`pages/${name}.njk`, { ...data, cspNonce, path, page: name })
    },
  }
}
