export { KeyError } from './error.ts'
export { loadSecrets, type Secrets } from './secrets.ts'
export { readSigningKeys, type SigningKey } from './signing-keys.ts'
