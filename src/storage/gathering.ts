/** From so many on, they go without a look whether more are coming. */
const ENOUGH = 32

/**
 * Lets requests that are being read at the same time go together: whoever was answered a moment ago may be asking again
 * already, and a query costs as much as several of its items. Nobody waits for others who do not come.
 * @param count how many wait
 * @param go sends those who wait
 * @returns to be called whenever somebody waits
 */
export function createGathering(count: () => number, go: () => void): () => void {
  let scheduled = false
  /** How many waited at the last look. */
  let seen = 0

  function isGrowing(): boolean {
    const waiting = count()
    const grows = waiting > Math.max(seen, 1) && waiting < ENOUGH
    seen = grows ? waiting : 0
    return grows
  }

  // setImmediate runs after all sockets that are ready now were read.
  function look(): void {
    if (isGrowing()) {
      setImmediate(look)
      return
    }
    scheduled = false
    go()
  }

  return () => {
    if (scheduled || count() === 0) return
    scheduled = true
    setImmediate(look)
  }
}
