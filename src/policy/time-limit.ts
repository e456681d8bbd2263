import { createContext, Script } from 'node:vm'

/** Milliseconds. Rules take microseconds; one that takes this long would keep everybody waiting. */
const MAX_MS = 500

const sandbox: { work?: (() => void) | undefined } = createContext({})
const script = new Script('work()')

/**
 * Runs what must not take long, and cuts it off in the middle where it does: the limits on a condition's size and
 * input bound one turn of a list, not turns within turns. Nothing else can stop code that runs without a pause.
 * @returns whether it came to its end
 */
export function withinTimeLimit(work: () => void): boolean {
  sandbox.work = work
  try {
    script.runInContext(sandbox, { timeout: MAX_MS })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false
    throw error
  } finally {
    sandbox.work = undefined
  }
}
