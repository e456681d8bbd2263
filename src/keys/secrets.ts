import { hkdfSync } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import { KeyError } from './error.ts'
import { dataFolderMode, makeFolder } from './folder.ts'
import { loadMasterSecret } from './master-secret.ts'
import { algorithmsWithout, loadSigningKeys, readSigningKeys, type SigningKey } from './signing-keys.ts'
import { publishedKeys, stagesAt } from './stages.ts'

/** The service's own secrets. */
export interface Secrets {
  master: Buffer
  /** A key for one purpose, by HKDF-SHA256 (RFC 5869) from the master secret; 32 bytes where nothing is said. */
  derive(purpose: string, bytes?: number): Buffer
  /** The private signing keys to publish now; the first of each `alg` signs. */
  signingKeys: SigningKey[]
  /** Reads them anew; makes none. Throws KeyError where a file is not usable or none signs. */
  readSigningKeys(): Promise<SigningKey[]>
}

/**
 * Reads the secrets and signing keys, and on first start makes them, with the folders that they are in.
 * @param clock names new key files by their day
 * @throws KeyError with the path and what to do, when one of them is there and not usable
 */
export async function loadSecrets(config: Config, clock: Clock = systemClock): Promise<Secrets> {
  await makeFolder(config.data_folder, dataFolderMode())
  const master = await loadMasterSecret(config)
  const folder = config.secrets.keys_folder
  await makeFolder(folder, 0o700)
  const files = await loadSigningKeys(folder, clock.now())
  return {
    master,
    derive: (purpose, bytes = 32) => Buffer.from(hkdfSync('sha256', master, '', `postern ${purpose}`, bytes)),
    signingKeys: publishedKeys(stagesAt(files, clock.now())),
    readSigningKeys: async () => {
      const now = clock.now()
      const read = await readSigningKeys(folder)
      const missing = algorithmsWithout(read, now)
      if (missing.length > 0)
        throw new KeyError(
          folder,
          `has no key that signs with ${missing.join(' and ')}; restore it from a backup`,
        )
      return publishedKeys(stagesAt(read, now))
    },
  }
}
