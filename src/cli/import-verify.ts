import { type Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import { readHomeserverConfig } from '../import/synapse/homeserver-config.ts'
import { openSource } from '../import/synapse/source/open.ts'
import type { Verdict } from '../import/synapse/verify/verify.ts'
import type { Context } from './context.ts'
import { withSchema } from './database.ts'
import { addImportOptions, type ImportCommandOptions } from './import-options.ts'
import { showProgress } from './import-progress.ts'
import { printVerdict } from './import-verdict.ts'
import { commandLog } from './log.ts'

/** SQLite takes some 32,000 values in a query, and each kind of row adds to them. */
const MAX_SAMPLE = 2000

type Options = ImportCommandOptions & { sample: number }

export function addImportVerify(parent: Command, context: Context): void {
  const command = parent
    .command('verify')
    .description('after the run: compare both sides, and say whether it is safe to switch')
    .option('--sample <number>', 'how many rows of each kind are compared one by one', toCount, 200)
  addImportOptions(command).action(async (options: Options) => {
    const verdict = await verify(context, options)
    if (options.json) context.terminal.print(JSON.stringify(verdict))
    else printVerdict(context.terminal, verdict)
    if (!verdict.safe) throw new PosternError('import_verify', 'It is not safe to switch.')
  })
}

async function verify({ terminal, config: readConfig }: Context, options: Options): Promise<Verdict> {
  // Only here: it brings the introspection along, which the other commands need not wait for.
  const { verifySynapse } = await import('../import/synapse/verify/verify.ts')
  const config = await readConfig()
  const { cwd, env } = terminal
  const homeserver = await readHomeserverConfig(options.synapseConfig, { cwd })
  const source = await openSource(homeserver, { override: options.synapseDatabase, cwd, env })
  const progress = showProgress(terminal, { quiet: options.json === true })
  try {
    return await withSchema(config, (database) =>
      verifySynapse({
        config,
        homeserver,
        source,
        database,
        clock: systemClock,
        log: commandLog(),
        progress,
        sampleSize: options.sample,
      }),
    )
  } finally {
    progress.end()
    await source.close().catch(() => undefined)
  }
}

function toCount(value: string): number {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 1 || count > MAX_SAMPLE)
    throw new InvalidArgumentError(`It is not a whole number from 1 to ${MAX_SAMPLE}.`)
  return count
}
