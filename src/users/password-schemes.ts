import { hash as bcryptHash, verify as bcryptVerify } from '@node-rs/bcrypt'
import { hash as argon2Hash, argon2id, verify as argon2Verify, needsRehash } from 'argon2'

/** OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane. */
const ARGON2 = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** bcrypt looks at 72 bytes. Synapse cuts there itself, in the middle of a character if it must. */
const BCRYPT_BYTES = 72

/** `$2b$`, the cost, and 53 characters of salt and hash. */
const BCRYPT = /^\$2[aby]\$/
const BCRYPT_HASH = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

/** The bytes that are hashed. NFKC first, so that the same keys on another keyboard give the same password. */
export function normalise(password: string): Buffer {
  return Buffer.from(password.normalize('NFKC'), 'utf8')
}

/** An argon2id PHC string with the parameters in use. Bytes rather than a string: nothing is cut, NUL included. */
export function hashArgon2(password: Buffer): Promise<string> {
  return argon2Hash(password, ARGON2)
}

/** Does what checking an argon2id hash costs. */
export async function wasteArgon2(password: Buffer): Promise<void> {
  await argon2Hash(password, ARGON2)
}

/** Does what checking one bcrypt hash of that cost costs. */
export async function wasteOneBcrypt(password: Buffer, cost: number): Promise<void> {
  await bcryptHash(password.subarray(0, BCRYPT_BYTES), cost)
}

/** Does the work that a bcrypt check of `fromCost` is short of one of `toCost`: 2^from + … + 2^(to−1) = 2^to − 2^from. */
export async function wasteBcrypt(password: Buffer, fromCost: number, toCost: number): Promise<void> {
  for (let cost = fromCost; cost < toCost; cost++) await wasteOneBcrypt(password, cost)
}

export function isArgon2(stored: string): boolean {
  return stored.startsWith('$argon2id$')
}

export function isBcrypt(stored: string): boolean {
  return BCRYPT.test(stored)
}

/** The cost of a bcrypt hash, or undefined where it is none that could be checked. */
export function bcryptCost(stored: string): number | undefined {
  const cost = BCRYPT_HASH.exec(stored)?.[1]
  return cost === undefined ? undefined : Number(cost)
}

/** Checks an imported hash as Synapse made it: bcrypt((NFKC(password) + pepper) cut to 72 bytes). */
export function verifyBcrypt(stored: string, password: Buffer, pepper: string): Promise<boolean> {
  const peppered = Buffer.concat([password, Buffer.from(pepper, 'utf8')])
  return bcryptVerify(peppered.subarray(0, BCRYPT_BYTES), stored)
}

export function verifyArgon2(stored: string, password: Buffer): Promise<boolean> {
  return argon2Verify(stored, password)
}

/** Whether a hash should be made anew after a right password: other parameters, or another scheme. */
export function isOutdated(stored: string): boolean {
  return !isArgon2(stored) || needsRehash(stored, ARGON2)
}
