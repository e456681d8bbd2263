/** Longer than any honest name; a page must not be filled by one. */
const LONGEST = 120

// Control characters, bidirectional overrides and isolates (they can turn `moc.live` around), zero-width
// characters but for the joiners that scripts and emoji need, line separators, tags and unpaired surrogates.
const DECEITFUL =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu

/** Text from apps and people, fit to be shown in a line: without what deceives the eye, trimmed and capped. */
export function cleanText(text: string): string {
  const clean = text
    .replace(/[\t\n\r]+/g, ' ')
    .replace(DECEITFUL, '')
    .replace(/\s+/gu, ' ')
    .trim()
  const characters = [...clean]
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : clean
}

/** True for addresses that a page may link to; `javascript:` and its like never are. */
export function isWebAddress(address: unknown): boolean {
  if (typeof address !== 'string') return false
  const url = URL.parse(address)
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:')
}

/** One or two letters that stand for a name where there is no picture. */
export function initials(name: string): string {
  const words = cleanText(name)
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean)
  const letters = words.slice(0, 2).map((word) => [...word][0]!)
  return letters.join('').toUpperCase() || '?'
}
