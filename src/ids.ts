import { getRandomValues } from 'node:crypto'
import { isValid, monotonicFactory, ulid } from 'ulid'

// The library converts digit by digit over arrays, which every introspection would pay twice: here are ten hexadecimal
// digits (40 bits, exact in a number) eight digits of Crockford's base 32.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const PAIRS = Array.from({ length: 1024 }, (_, n) => `${ALPHABET[n >> 5]}${ALPHABET[n & 31]}`)
const VALUES = new Uint8Array(128)
for (const [value, digit] of [...ALPHABET].entries()) VALUES[digit.charCodeAt(0)] = value
/** 128 bits: of the first digit's five, the upper two are zero. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Random numbers by the thousand: the library would ask the system for each of the sixteen digits of an ID. */
const random = new Uint32Array(1024)
let taken = random.length

function nextRandom(): number {
  if (taken === random.length) {
    getRandomValues(random)
    taken = 0
  }
  return random[taken++]! / 2 ** 32
}

/** A new ULID in its 26-character form, made from the given time. */
export function newId(now: Date): string {
  return ulid(now.getTime(), nextRandom)
}

/** The form that the database stores: a UUID. Throws on anything but a ULID. */
export function toUuid(id: string): string {
  if (!ULID.test(id)) throw new TypeError(`'${id}' is no ULID`)
  const upper = id.toUpperCase()
  const hex =
    toHex(upper.slice(0, 2), 2) +
    toHex(upper.slice(2, 10), 10) +
    toHex(upper.slice(10, 18), 10) +
    toHex(upper.slice(18, 26), 10)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function toHex(digits: string, length: number): string {
  let value = 0
  for (let n = 0; n < digits.length; n++) value = value * 32 + VALUES[digits.charCodeAt(n)]!
  return value.toString(16).padStart(length, '0')
}

/** The form that everyone else sees: a ULID of 26 characters. Throws on anything but a UUID. */
export function fromUuid(uuid: string): string {
  if (!UUID.test(uuid)) throw new TypeError(`'${uuid}' is no UUID`)
  const hex = uuid.replaceAll('-', '')
  return (
    PAIRS[Number.parseInt(hex.slice(0, 2), 16)] +
    eightDigits(hex.slice(2, 12)) +
    eightDigits(hex.slice(12, 22)) +
    eightDigits(hex.slice(22))
  )
}

function eightDigits(hex: string): string {
  const value = Number.parseInt(hex, 16)
  const high = Math.floor(value / 2 ** 20)
  const low = value % 2 ** 20
  return `${PAIRS[high >> 10]}${PAIRS[high & 1023]}${PAIRS[low >> 10]}${PAIRS[low & 1023]}`
}

/** Whether a string from outside is a ULID. */
export function isId(value: string): boolean {
  return isValid(value)
}

/** Makes UUIDs that sort in the order in which they were made by this process, also within one millisecond. */
export function createOrderedUuids(): () => string {
  const next = monotonicFactory()
  return () => toUuid(next())
}
