import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** What a refresh answers with: the successor pair of a presented refresh token. */
export interface TokenPair {
  accessToken: string
  refreshToken: string
}

const IV_BYTES = 12
const TAG_BYTES = 16

function keyFrom(presented: string): Buffer {
  return Buffer.from(hkdfSync('sha256', presented, '', 'postern refresh successor', 32))
}

/**
 * Seals the successor pair under a key that only the holder of the presented token can derive (AES-256-GCM,
 * HKDF-SHA256), so that a lost answer can be given again and yet nothing usable is at rest.
 */
export function sealPair(presented: string, pair: TokenPair): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFrom(presented), iv)
  const sealed = Buffer.concat([
    cipher.update(`${pair.accessToken} ${pair.refreshToken}`, 'utf8'),
    cipher.final(),
  ])
  return Buffer.concat([iv, sealed, cipher.getAuthTag()])
}

/** Opens what `sealPair` sealed. Throws when the presented token is another one or the bytes were changed. */
export function openPair(presented: string, sealed: Buffer): TokenPair {
  const decipher = createDecipheriv('aes-256-gcm', keyFrom(presented), sealed.subarray(0, IV_BYTES))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const text =
    decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES)).toString('utf8') + decipher.final('utf8')
  const [accessToken, refreshToken] = text.split(' ')
  if (!accessToken || !refreshToken) throw new Error('A sealed pair holds two tokens')
  return { accessToken, refreshToken }
}
