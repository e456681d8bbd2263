import type { Logger } from 'pino'
import type { Config } from '../config/index.ts'

/**
 * Reads one part anew from a configuration that was just read, checks it whole, and returns what puts it in force.
 * What it throws is logged, and what was in force stays: so it changes nothing itself. What it returns must not fail.
 */
export type Prepare = (config: Config) => Promise<() => void>

/** What came of one part, as the log and `postern reload` tell it. */
export interface ReloadedPart {
  part: string
  /** What was wrong, where the old state stays. */
  fault?: string
}

export interface Reloads {
  /** Lets a part take part in every reload from now on. */
  register(part: string, prepare: Prepare): void
  /** Reads everything anew. A reload that is asked for during another one begins after it. */
  reload(): Promise<ReloadedPart[]>
}

/**
 * The one way to take up changes without a restart, for SIGHUP and `postern reload`. Each part stands for itself: a
 * typo in one must not keep, say, a new signing key out. A configuration that cannot be read reloads nothing.
 */
export function createReloads({
  readConfig,
  log,
}: {
  readConfig: () => Promise<Config>
  log: Logger
}): Reloads {
  const parts = new Map<string, Prepare>()
  let last: Promise<unknown> = Promise.resolve()

  async function one(part: string, work: () => Promise<void>): Promise<ReloadedPart> {
    try {
      await work()
      return { part }
    } catch (error) {
      log.error({ err: error, part }, 'reload.refused')
      return { part, fault: error instanceof Error ? error.message : String(error) }
    }
  }

  async function run(): Promise<ReloadedPart[]> {
    let config: Config | undefined
    const read = await one('configuration', async () => {
      config = await readConfig()
    })
    if (!config) return [read]
    const results = [read]
    for (const [part, prepare] of parts) {
      const fresh = config
      results.push(await one(part, async () => (await prepare(fresh))()))
    }
    const refused = results.filter(({ fault }) => fault !== undefined).map(({ part }) => part)
    log.info({ parts: results.map(({ part }) => part), refused }, 'reload.done')
    return results
  }

  return {
    register(part, prepare) {
      if (parts.has(part)) throw new Error(`${part} is registered twice`)
      parts.set(part, prepare)
    },
    reload() {
      const done = last.then(run)
      last = done
      return done
    },
  }
}
