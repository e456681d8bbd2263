/** By which a client may sign its assertions (RFC 7523): asymmetric only, and what RFC 8725 §3.2 still recommends. */
export const ASSERTION_ALGORITHMS = ['ES256', 'PS256', 'RS256', 'EdDSA'] as const

/** The public keys of a client (RFC 7517), with which `private_key_jwt` is checked. */
export interface ClientKeys {
  keys: Record<string, unknown>[]
}

const MAX_KEYS = 10
const KEY_TYPES = ['RSA', 'EC', 'OKP']
/** Members that only a private or a symmetric key has (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/**
 * What is wrong with a key set, as the end of a sentence that starts with its name; undefined where nothing is.
 * Private keys are refused: whoever sends one has lost it, and it must not be kept here.
 */
export function clientKeysProblem(value: unknown): string | undefined {
  const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : undefined
  if (!Array.isArray(keys) || keys.length === 0) return 'must be a JWK Set with at least one key'
  if (keys.length > MAX_KEYS) return `must not have more than ${MAX_KEYS} keys`
  for (const key of keys) {
    if (typeof key !== 'object' || key === null || !KEY_TYPES.includes((key as { kty: string }).kty)) {
      return `must have keys of the types ${KEY_TYPES.join(', ')} only`
    }
    if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(key, member))) {
      return 'must have public keys only: replace this one, it is not secret any more'
    }
  }
  return undefined
}
