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
  /** Takes up one part again, as it is now, without reading the configuration: for what changes by itself. */
  refresh(part: string): Promise<ReloadedPart>
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
  config,
  readConfig,
  log,
}: {
  /** What the server was started with. */
  config: Config
  readConfig: () => Promise<Config>
  log: Logger
}): Reloads {
  const parts = new Map<string, Prepare>()
  let current = config
  let last: Promise<unknown> = Promise.resolve()

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = last.then(work)
    last = done
    return done
  }

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
    const results = [
      await one('configuration', async () => {
        current = await readConfig()
      }),
    ]
    if (results[0]?.fault !== undefined) return results
    for (const [part, prepare] of parts) results.push(await one(part, async () => (await prepare(current))()))
    const refused = results.filter(({ fault }) => fault !== undefined).map(({ part }) => part)
    log.info({ parts: results.map(({ part }) => part), refused }, 'reload.done')
    return results
  }

  return {
    register(part, prepare) {
      if (parts.has(part)) throw new Error(`${part} is registered twice`)
      parts.set(part, prepare)
    },
    refresh: (part) =>
      inTurn(() =>
        one(part, async () => {
          const prepare = parts.get(part)
          if (!prepare) throw new Error('Nobody registered this part')
          const putInForce = await prepare(current)
          putInForce()
        }),
      ),
    reload: () => inTurn(run),
  }
}
