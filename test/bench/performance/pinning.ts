import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** The core of the service and its database, and the one of the load generator. */
export const SERVICE_CORE = 0
export const LOAD_CORE = 1

/** Whether processes can be bound to cores here: Linux with `taskset` (util-linux) and two cores. */
export const canPin = availableParallelism() > 1 && has('taskset')

function has(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A command line that runs on one core; as it is where that cannot be had. */
export function pinned(core: number, command: readonly string[]): [string, ...string[]] {
  const [program = '', ...args] = command
  return canPin ? ['taskset', '--cpu-list', String(core), program, ...args] : [program, ...args]
}

/** Moves this process, all its threads included, to one core. */
export function pinThisProcess(core: number): void {
  if (!canPin) return
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(process.pid)], {
    stdio: 'ignore',
  })
}
