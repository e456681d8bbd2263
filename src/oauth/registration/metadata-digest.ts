import { createHash } from 'node:crypto'
import type { ClientMetadata } from '../clients/clients.ts'

/** SHA-256 of the metadata, whatever the order of its names and of its arrays' entries (all of them are sets). */
export function metadataDigest(metadata: ClientMetadata): Buffer {
  const canonical = Object.entries(metadata)
    .map(([name, value]) => [name, Array.isArray(value) ? value.toSorted() : value] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(canonical)).digest()
}
