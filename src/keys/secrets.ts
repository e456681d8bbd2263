import { hkdfSync } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import { dataFolderMode, makeFolder } from './folder.ts'
import { loadMasterSecret } from './master-secret.ts'
import { loadSigningKeys, type SigningKey } from './signing-keys.ts'

/** The service's own secrets. */
export interface Secrets {
  master: Buffer
  /** A key for one purpose, by HKDF-SHA256 (RFC 5869) from the master secret; 32 bytes where nothing is said. */
  derive(purpose: string, bytes?: number): Buffer
  /** The private signing keys. The first of each `alg` signs. */
  signingKeys: SigningKey[]
}

/**
 * Reads the secrets and signing keys, and on first start makes them, with the folders that they are in.
 * @param clock names new key files by their day
 * @throws KeyError with the path and what to do, when one of them is there and not usable
 */
export async function loadSecrets(config: Config, clock: Clock = systemClock): Promise<Secrets> {
  await makeFolder(config.data_folder, dataFolderMode())
  const master = await loadMasterSecret(config)
  await makeFolder(config.secrets.keys_folder, 0o700)
  const files = await loadSigningKeys(config.secrets.keys_folder, clock.now())
  return {
    master,
    derive: (purpose, bytes = 32) => Buffer.from(hkdfSync('sha256', master, '', `postern ${purpose}`, bytes)),
    signingKeys: files.map(({ key }) => key),
  }
}
