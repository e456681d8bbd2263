import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * `mat`/`mar`: OAuth access and refresh; `mct`/`mcr`: compat access and refresh; `mpt`: personal.
 * The ecosystem's existing service uses the same prefixes, so that tools which recognise its tokens recognise ours.
 */
export type TokenPrefix = 'mat' | 'mar' | 'mct' | 'mcr' | 'mpt'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_LENGTH = 30
const OWN_TOKEN = /^(?:mat|mar|mct|mcr|mpt)_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/

/** Random base62 characters from a CSPRNG, each equally likely. */
export function randomBase62(length: number): string {
  let out = ''
  while (out.length < length) {
    for (const byte of randomBytes(length * 2)) {
      // 248 is the largest multiple of 62 below 256: larger bytes would favour the first characters.
      if (byte < 248 && out.length < length) out += ALPHABET[byte % 62]
    }
  }
  return out
}

function checksum(body: string): string {
  let rest = crc32(body)
  let out = ''
  while (rest > 0) {
    out += ALPHABET[rest % 62]
    rest = Math.floor(rest / 62)
  }
  return out.padStart(6, '0')
}

/** A token's first part (`<prefix>_<30 base62>`) with the checksum that makes it whole. */
export function withChecksum(body: string): string {
  return `${body}_${checksum(body)}`
}

/** A new opaque token: `<prefix>_<30 base62>_<6 base62 of CRC-32>`, 178 bits of randomness. */
export function newToken(prefix: TokenPrefix): string {
  return withChecksum(`${prefix}_${randomBase62(RANDOM_LENGTH)}`)
}

/**
 * Whether it is worth asking the database about this token: ours with a right checksum, or one that may have
 * been imported from a homeserver (`syt_…`, `syr_…`, a macaroon), which carries no checksum that we check.
 */
export function mayBeToken(token: string): boolean {
  if (token.length === 0 || token.length > 1024) return false
  const prefix = token.slice(0, 4)
  if (prefix === 'mat_' || prefix === 'mar_' || prefix === 'mct_' || prefix === 'mcr_' || prefix === 'mpt_') {
    return OWN_TOKEN.test(token) && checksum(token.slice(0, -7)) === token.slice(-6)
  }
  return prefix === 'syt_' || prefix === 'syr_' || token.startsWith('MDAx')
}

/**
 * The only form of a bearer secret that is stored (invariant 1). A bare SHA-256 is enough because the secrets
 * are random: there is nothing to guess that a slow hash would protect.
 */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

/** The same in hexadecimal: on the way of introspection a string costs less than a buffer of its own. */
export function hashSecretInHex(secret: string): string {
  return hash('sha256', secret, 'hex')
}
