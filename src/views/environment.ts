import nunjucks from 'nunjucks'
import type { Clock } from '../clock.ts'
import type { Assets } from './assets.ts'
import type { Branding, Picture, TemplateFile } from './branding.ts'
import type { Links } from './links.ts'
import { logoSize } from './logo-size.ts'
import { createTranslate, type Locale } from './messages.ts'
import type { ClientSummary, Words } from './page-data.ts'
import './sandbox.ts'
import './template-errors.ts'
import { appName, errorLines, words } from './template-helpers.ts'
import { createTimeWords } from './time.ts'
import { cleanText, initials, isWebAddress } from './untrusted-text.ts'

export interface EnvironmentOptions {
  locale: Locale
  branding: Branding
  /** Every template that there is, by name. */
  templates: ReadonlyMap<string, TemplateFile>
  assets: Assets
  links: Links
  clock: Clock
  /** Whether errors are to tell the place where they happened, by `placeOf`; it takes time. */
  traceErrors: boolean
}

/** Hands out what was read before: while pages are rendered no file is opened, whatever name a template asks for. */
class MemoryLoader extends nunjucks.Loader {
  readonly #templates: ReadonlyMap<string, TemplateFile>

  constructor(templates: ReadonlyMap<string, TemplateFile>) {
    super()
    this.#templates = templates
  }

  /** Names are whole and never relative to the template that asks. */
  override isRelative(): boolean {
    return false
  }

  getSource(name: string): nunjucks.LoaderSource {
    const file = this.#templates.get(name)
    // nunjucks takes null for "not found", which its types do not say.
    return file ? { src: file.source, path: file.path, noCache: false } : (null as never)
  }
}

/** nunjucks for one language, with escaping always on. */
export function createEnvironment(options: EnvironmentOptions): nunjucks.Environment {
  const { locale, branding, assets, links, clock } = options
  const environment = new nunjucks.Environment(new MemoryLoader(options.templates), {
    autoescape: true,
    throwOnUndefined: true,
    trimBlocks: true,
    lstripBlocks: true,
    dev: options.traceErrors,
  })
  const t = createTranslate(locale, branding.catalogue[locale]!)
  const time = createTimeWords(locale, () => clock.now())
  const safe = (markup: string) => new nunjucks.runtime.SafeString(markup)
  // Only dates in words stand here, nothing that anyone typed.
  const element = (at: Date, text: string) =>
    safe(`<time datetime="${at.toISOString()}" title="${time.exact(at)}">${text}</time>`)

  environment.addGlobal('locale', locale)
  environment.addGlobal('direction', directionOf(locale))
  environment.addGlobal('serviceName', branding.serviceName)
  environment.addGlobal('brand', {
    logo: described(branding.logo ?? assets.shippedLogo),
    logoDark: branding.logoDark && described(branding.logoDark),
    termsUrl: branding.termsUrl,
    privacyUrl: branding.privacyUrl,
  })
  environment.addGlobal('logoSize', logoSize)
  environment.addGlobal('links', links)
  environment.addGlobal('asset', (name: string) => assets.url(name))
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
  keepEscaping(environment)
  return environment
}

/** No template, ours included, may call a text safe that was not made here; nor may one undo the escaping. */
function keepEscaping(environment: nunjucks.Environment): void {
  environment.addFilter('safe', () => {
    throw new Error('Templates may not use the filter "safe": texts are always escaped')
  })
  const replace = environment.getFilter('replace') as (text: string, ...args: unknown[]) => string
  environment.addFilter('replace', (text: unknown, ...args: unknown[]) => replace(String(text), ...args))
  // Lookups by name must not find what every object inherits.
  const { filters, tests, globals } = environment as unknown as Record<string, object>
  for (const table of [filters!, tests!, globals!]) Object.setPrototypeOf(table, null)
}

/** What templates need of a picture. */
function described({ type, width, height }: Picture) {
  return { type, width, height }
}

function directionOf(locale: Locale): string {
  const { direction } = (
    new Intl.Locale(locale) as Intl.Locale & { getTextInfo(): { direction: string } }
  ).getTextInfo()
  return direction === 'rtl' ? 'rtl' : 'ltr'
}
