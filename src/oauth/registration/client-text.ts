/** The most characters (code points) that a name may keep. */
const MAXIMUM_CHARACTERS = 256

/**
 * Control characters, line separators, and the invisible ones that change the direction of text: with them a
 * name could turn the words around it on a consent page.
 */
const DECEPTIVE =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]+/gu

/** A name that an app gave itself, made safe to show in one line; empty where nothing of it remains. */
export function cleanText(text: string): string {
  const oneLine = text.replace(DECEPTIVE, ' ').replace(/\s+/g, ' ').trim()
  return [...oneLine].slice(0, MAXIMUM_CHARACTERS).join('').trim()
}
