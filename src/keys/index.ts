export { KeyError } from './error.ts'
export { loadSecrets, type Secrets } from './secrets.ts'
export type { SigningKey } from './signing-keys.ts'
