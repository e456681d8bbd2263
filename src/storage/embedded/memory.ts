import { totalmem } from 'node:os'
import { constrainedMemory } from 'node:process'

const SHARE = 8
const LEAST_MB = 64

/**
 * How much of the machine's memory, or of the container's, the embedded database may keep pages in, in megabytes: an eighth,
 * as others live there too (PostgreSQL advises a quarter to a server of its own). It takes only what it fills.
 */
export function sharedBuffersMb(total = totalmem(), limit = constrainedMemory()): number {
  // Without a limit Node.js says 0, or a number beyond any memory.
  const bytes = limit > 0 ? Math.min(total, limit) : total
  return Math.max(LEAST_MB, Math.floor(bytes / SHARE / 1024 ** 2))
}
