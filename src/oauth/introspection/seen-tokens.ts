import type { SeenSession } from '../../sessions/store.ts'

const HASH_BYTES = 32
/** Of a UUID as PostgreSQL writes it. */
const UUID_CHARACTERS = 36

/** Which tokens were seen, each once, until they are taken. */
export interface SeenTokens {
  /**
   * Notes that a token (its hash in hexadecimal) was seen at a time in milliseconds, or was seen again. Does nothing where
   * there is no room left.
   */
  note(accessHash: string, sessionUuid: string, at: number): void
  /** Takes out so many of them at most, whichever. A token that is seen meanwhile may be there twice. */
  take(most: number): SeenSession[]
  size(): number
}

/**
 * A hash table with open addressing (linear probing) in memory that V8 does not look through: as objects in a Map, tens of
 * thousands of notes that live for some seconds cost introspection a tenth of its rate in garbage collection.
 * @param most how many it holds
 */
export function createSeenTokens(most: number): SeenTokens {
  // A power of two, at least a third of it free: probes stay short.
  const slots = 2 ** Math.ceil(Math.log2(most * 1.5))
  const hashes = Buffer.allocUnsafeSlow(slots * HASH_BYTES)
  const uuids = Buffer.allocUnsafeSlow(slots * UUID_CHARACTERS)
  /** Milliseconds; 0 where the slot is free. */
  const times = new Float64Array(slots)
  let size = 0
  let cursor = 0

  const hashAt = (slot: number) => hashes.toString('hex', slot * HASH_BYTES, (slot + 1) * HASH_BYTES)

  function slotOf(accessHash: string): number {
    // Seven digits are as good as all: they are a SHA-256's.
    let slot = Number.parseInt(accessHash.slice(0, 7), 16) & (slots - 1)
    while (times[slot] !== 0 && hashAt(slot) !== accessHash) slot = (slot + 1) & (slots - 1)
    return slot
  }

  return {
    note(accessHash, sessionUuid, at) {
      const slot = slotOf(accessHash)
      if (times[slot] === 0) {
        if (size >= most) return
        size += 1
        hashes.write(accessHash, slot * HASH_BYTES, HASH_BYTES, 'hex')
        uuids.write(sessionUuid, slot * UUID_CHARACTERS, UUID_CHARACTERS, 'latin1')
      }
      times[slot] = Math.max(times[slot]!, at)
    },

    take(wanted) {
      const taken: SeenSession[] = []
      while (size > 0 && taken.length < wanted) {
        const at = times[cursor]!
        if (at !== 0) {
          const uuid = uuids.toString('latin1', cursor * UUID_CHARACTERS, (cursor + 1) * UUID_CHARACTERS)
          taken.push({ uuid, accessHash: hashAt(cursor), at })
          times[cursor] = 0
          size -= 1
        }
        cursor = (cursor + 1) & (slots - 1)
      }
      return taken
    },

    size: () => size,
  }
}
