export { KeyError } from './error.ts'
export { loadSecrets, type Secrets } from './secrets.ts'
export { addSigningKeys, readSigningKeys, type SigningKey } from './signing-keys.ts'
export { stagesAt } from './stages.ts'
