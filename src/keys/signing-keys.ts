import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { createFile } from './create-file.ts'
import { KeyError } from './error.ts'
import { stagesAt } from './stages.ts'

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
  /** When it begins to sign; absent where the file says nothing of it. */
  signsFrom?: Date
}

/** The line before the PEM block that says when a key begins to sign (RFC 7468 §2 lets text stand there). */
const SIGNS_FROM = /^Signs-From: (\S+)$/m

/**
 * The signing keys of a folder. For an algorithm with which none signs, one is made.
 * @param now names new files
 * @throws KeyError when a file is there and not usable
 */
export async function loadSigningKeys(folder: string, now: Date): Promise<KeyFile[]> {
  const keys = await readSigningKeys(folder)
  const missing = algorithmsWithout(keys, now)
  if (missing.length === 0) return keys
  for (const alg of missing) await createKey(folder, alg, now.toISOString().slice(0, 10))
  // Read them back: another process may have been first.
  return readSigningKeys(folder)
}

/** The algorithms with which no key signs at a time. */
export function algorithmsWithout(keys: readonly KeyFile[], now: Date): Algorithm[] {
  const signing = stagesAt(keys, now).filter(({ stage }) => stage === 'signing')
  return (Object.keys(ALGORITHMS) as Algorithm[]).filter((alg) => signing.every(({ key }) => key.alg !== alg))
}

/**
 * Adds a key of each algorithm that signs from a time on.
 * @throws KeyError when a file cannot be written
 */
export async function addSigningKeys(folder: string, signsFrom: Date): Promise<void> {
  const stamp = signsFrom.toISOString().replace(/[:.]/g, '-')
  for (const alg of Object.keys(ALGORITHMS) as Algorithm[]) await createKey(folder, alg, stamp, signsFrom)
}

async function createKey(folder: string, alg: Algorithm, stamp: string, signsFrom?: Date): Promise<void> {
  const { privateKey } = await ALGORITHMS[alg]()
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const head = signsFrom ? `Signs-From: ${signsFrom.toISOString()}\n` : ''
  await createFile(join(folder, `${stamp}-${alg.toLowerCase()}.pem`), head + pem)
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
  const written = SIGNS_FROM.exec(pem.toString('latin1'))?.[1]
  const signsFrom = written === undefined ? undefined : new Date(written)
  if (signsFrom && Number.isNaN(signsFrom.getTime()))
    throw new KeyError(
      path,
      `says Signs-From: ${written}, which is no time; write one such as 2026-01-31T00:00:00Z`,
    )
  const key: SigningKey = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use: 'sig' }
  return { path, key, ...(signsFrom ? { signsFrom } : {}) }
}

function algorithmOf(key: KeyObject): Algorithm | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return 'RS256'
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256'
  return undefined
}
