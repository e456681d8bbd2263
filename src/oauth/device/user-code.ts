import { createHmac, randomInt } from 'node:crypto'

/** RFC 8628 §6.1: consonants only, so that no words come out and nothing looks like something else. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const LENGTH = 8

/** A new user code of eight letters, without its dash: about 34 bits. */
export function newUserCode(): string {
  return Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('')
}

/** As people read it: two groups of four. */
export function showUserCode(code: string): string {
  return `${code.slice(0, 4)}-${code.slice(4)}`
}

/** What was typed, in any case, with spaces, dots and dashes or without; undefined where it cannot be a code. */
export function readUserCode(typed: string): string | undefined {
  const code = typed.toUpperCase().replaceAll(/[\s.\-‐‑–—]/g, '')
  return code.length === LENGTH && [...code].every((letter) => LETTERS.includes(letter)) ? code : undefined
}

/**
 * What stands in the database for a user code. A bare hash of 34 bits could be guessed by whoever has a copy of the
 * database, so it is keyed with a secret that is not in it.
 */
export function hashUserCode(key: Buffer, code: string): Buffer {
  return createHmac('sha256', key).update(code).digest()
}
