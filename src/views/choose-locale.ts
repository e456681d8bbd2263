import type { Locale } from './messages.ts'

/**
 * The language of a page: the first of `ui_locales` (OpenID Connect Core §3.1.2.1, space separated) that there is,
 * then the browser's `Accept-Language` by its weights (RFC 9110 §12.5.4), then English.
 */
export function chooseLocale(
  uiLocales: string | undefined,
  acceptLanguage: string | undefined,
  languages: readonly Locale[],
): Locale {
  const asked = (uiLocales ?? '').split(' ')
  return firstKnown(asked, languages) ?? firstKnown(byWeight(acceptLanguage ?? ''), languages) ?? 'en'
}

function firstKnown(tags: readonly string[], languages: readonly Locale[]): Locale | undefined {
  for (const tag of tags) {
    const language = tag.trim().split('-')[0]!.toLowerCase()
    if (languages.includes(language)) return language
  }
  return undefined
}

function byWeight(header: string): string[] {
  return header
    .slice(0, 1000)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.split(';')
      const q = parameters.map((parameter) => /^\s*q=([\d.]+)\s*$/i.exec(parameter)?.[1]).find(Boolean)
      return { tag, weight: q === undefined ? 1 : Number(q) }
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ tag }) => tag)
}
