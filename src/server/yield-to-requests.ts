import { readdir, readFile } from 'node:fs/promises'
import { setPriority } from 'node:os'

/** Half of what one may give up: they still get their share as soon as nobody else wants the core. */
const NICENESS = 10

/**
 * Lets password hashing, which runs in libuv's worker threads and takes every core that it gets, give way to whatever
 * answers requests and to the database: in a flood of sign-ins the homeserver's questions and refreshes stay quick
 * (check 61). Linux gives each thread a priority of its own; elsewhere nothing happens. Never throws.
 */
export async function letHashingYield(): Promise<void> {
  const threads = await readdir('/proc/self/task').catch(() => [])
  for (const thread of threads) {
    const name = await readFile(`/proc/self/task/${thread}/comm`, 'utf8').catch(() => '')
    if (!name.startsWith('libuv-worker')) continue
    try {
      setPriority(Number(thread), NICENESS)
    } catch {
      // It ended meanwhile, or the machine does not let us: then hashing competes as it always did.
    }
  }
}
