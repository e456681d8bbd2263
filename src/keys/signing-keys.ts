import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { createFile } from './create-file.ts'
import { KeyError } from './error.ts'

const generate = promisify(generateKeyPair)

/** The algorithms that the service signs with, and how to make a key for each. */
const ALGORITHMS = {
  RS256: () => generate('rsa', { modulusLength: 2048 }),
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
}
type Algorithm = keyof typeof ALGORITHMS

/** A private key with `kid` (its RFC 7638 thumbprint), `alg` and `use`. */
export type SigningKey = JWK & { kid: string; alg: Algorithm; use: 'sig'; kty: string }

/** A signing key and the file that it is in. */
export interface KeyFile {
  path: string
  key: SigningKey
}

/**
 * The signing keys of a folder, by file name: the first of each algorithm signs, all of them are published. For an
 * algorithm without a key one is made.
 * @param today names new files, so that later keys come after them
 * @throws KeyError when a file is there and not usable
 */
export async function loadSigningKeys(folder: string, today: Date): Promise<KeyFile[]> {
  const keys = await readSigningKeys(folder)
  const missing = (Object.keys(ALGORITHMS) as Algorithm[]).filter((alg) =>
    keys.every(({ key }) => key.alg !== alg),
  )
  if (missing.length === 0) return keys
  for (const alg of missing) {
    const { privateKey } = await ALGORITHMS[alg]()
    const name = `${today.toISOString().slice(0, 10)}-${alg.toLowerCase()}.pem`
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    await createFile(join(folder, name), pem.toString())
  }
  // Read them back: another process may have been first.
  return readSigningKeys(folder)
}

/**
 * The signing keys that a folder has, by file name; makes none. A folder that is not there has none.
 * @throws KeyError when the folder or a file in it is not usable
 */
export async function readSigningKeys(folder: string): Promise<KeyFile[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new KeyError(folder, `cannot be read (${error.code}); let the service read the folder`, error)
  })
  const files = names.filter((name) => name.endsWith('.pem') && !name.startsWith('.')).sort()
  return Promise.all(files.map((name) => readKey(join(folder, name))))
}

async function readKey(path: string): Promise<KeyFile> {
  const pem = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new KeyError(path, `cannot be read (${error.code}); let the service read it`, error)
  })
  let object: KeyObject
  try {
    object = createPrivateKey(pem)
  } catch (error) {
    const advice = 'restore it from a backup, or move it away if nothing was signed with it'
    throw new KeyError(path, `is not an unencrypted private key in PEM form; ${advice}`, error)
  }
  const alg = algorithmOf(object)
  if (!alg) {
    const advice = 'replace it by an RSA key of 2048 bits or more, or an EC key on P-256'
    throw new KeyError(path, `is a key of a kind that is not used here; ${advice}`)
  }
  const jwk = object.export({ format: 'jwk' }) as JWK & { kty: string }
  return { path, key: { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use: 'sig' } }
}

function algorithmOf(key: KeyObject): Algorithm | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return 'RS256'
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256'
  return undefined
}
