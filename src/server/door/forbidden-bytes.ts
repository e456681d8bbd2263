import { isUtf8 } from 'node:buffer'

/**
 * Whether a raw request target or form body holds a NUL or invalid UTF-8, be it raw or percent-encoded.
 * PostgreSQL stores neither, so that they would come back as an error from deep inside (ASVS 5.0, 1.1.1):
 * they are refused at the door, before anything parses them. A `%` that starts no escape is left to the parsers.
 * @param raw a string as node:http gives it, one character a byte, or the bytes themselves
 */
export function hasForbiddenBytes(raw: string | Buffer): boolean {
  const text = typeof raw === 'string' ? raw : raw.toString('latin1')
  if (!SUSPICIOUS.test(text)) return false
  const bytes = Buffer.from(
    text.replace(ESCAPE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  return bytes.includes(0) || !isUtf8(bytes)
}

/** Whether decoded text (from JSON, a Basic header, …) holds a NUL or a lone surrogate, which no database stores. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** Whether every text in a parsed JSON document can be stored. */
export function isStorableValue(document: unknown): boolean {
  // Not by recursion: a document may be nested deeper than the stack.
  const rest = [document]
  while (rest.length > 0) {
    const value = rest.pop()
    if (typeof value === 'string' && !isStorableText(value)) return false
    if (typeof value === 'object' && value !== null) rest.push(...Object.keys(value), ...Object.values(value))
  }
  return true
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what it looks for
const SUSPICIOUS = /[\x00%\x80-\uffff]/
const ESCAPE = /%([0-9a-fA-F]{2})/g
