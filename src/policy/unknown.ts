import { suggest } from '../config/suggest.ts'

/** "… is not known; did you mean …?", as the configuration says it. */
export function unknown(what: string, word: string, known: readonly string[]): string {
  const meant = suggest(word, known)
  if (meant) return `${what} is not known; did you mean ${meant}?`
  return known.length > 0 ? `${what} is not known; known here: ${known.join(', ')}` : `${what} is not known`
}
