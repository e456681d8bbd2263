export type { Asset } from './assets.ts'
export {
  type Accent,
  type Branding,
  type Picture,
  plainBranding,
  type TemplateFile,
} from './branding.ts'
export { chooseLocale } from './choose-locale.ts'
export { createLinks, type Links } from './links.ts'
export type { Catalogue, Locale, Message, MessageKey, Texts } from './messages.ts'
export type * from './page-data.ts'
export { createViews, type RenderOptions, type Views } from './views.ts'
