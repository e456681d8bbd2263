import type { BrandingConfig, PlacedPath } from '../config/sections/branding.ts'
import { type Branding, type Picture, plainBranding } from '../views/index.ts'
import { accentsOf } from './accent.ts'
import { checkPages } from './check-pages.ts'
import { BrandingError } from './error.ts'
import { readOwnTemplates } from './own-templates.ts'
import { readOwnTexts } from './own-texts.ts'
import { readPicture } from './picture.ts'

/**
 * Reads everything that the operator puts on the pages, and makes sure that every page can be made with it.
 * @throws BrandingError with all that is wrong; then none of it may be used
 */
export async function loadBranding(config: BrandingConfig, serverName: string): Promise<Branding> {
  const problems: string[] = []
  const plain = plainBranding(config.service_name ?? serverName)

  async function picture(placed: PlacedPath | undefined): Promise<Picture | undefined> {
    const read = placed && (await readPicture(placed))
    if (typeof read !== 'string') return read
    problems.push(read)
    return undefined
  }

  const logo = await picture(config.logo)
  const logoDark = await picture(config.logo_dark)
  const texts = config.texts_folder && (await readOwnTexts(config.texts_folder))
  const own = config.templates_folder && (await readOwnTemplates(config.templates_folder))
  problems.push(...(texts?.problems ?? []), ...(own?.problems ?? []))
  const branding: Branding = {
    ...plain,
    logo,
    logoDark,
    accents: accentsOf(config.accent_colour, config.accent_colour_dark),
    termsUrl: config.terms_url,
    privacyUrl: config.privacy_url,
    ...(texts && { catalogue: texts.catalogue }),
    ...(own && { templates: own.templates }),
  }
  // What is broken by itself would only be reported again, page by page.
  if (problems.length === 0 && (texts || own)) problems.push(...(await checkPages(branding)))
  if (problems.length > 0) throw new BrandingError(problems)
  return branding
}
