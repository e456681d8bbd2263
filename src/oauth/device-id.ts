import { randomInt } from 'node:crypto'

/**
 * RFC 6749 §3.3 scope characters, which the Matrix specification asks of device IDs in scopes
 * (%x21 / %x23-5B / %x5D-7E: printable ASCII without space, quote and backslash).
 */
const SCOPE_CHARACTERS = /^[\x21\x23-\x5b\x5d-\x7e]+$/

const MAXIMUM_LENGTH = 255

/** Whether a string from outside is a device ID that a session may have: 1 to 255 scope characters. */
export function isDeviceId(value: string): boolean {
  return value.length <= MAXIMUM_LENGTH && SCOPE_CHARACTERS.test(value)
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const RANDOM_LENGTH = 10

/** A new device ID, ten capital letters as homeservers make them. */
export function randomDeviceId(): string {
  return Array.from({ length: RANDOM_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('')
}
