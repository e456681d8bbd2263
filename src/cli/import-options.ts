import { setFlagsFromString } from 'node:v8'
import { type Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../clock.ts'
import { readHomeserverConfig } from '../import/synapse/homeserver-config.ts'
import { type ImportOptions, type ImportReport, importSynapse } from '../import/synapse/import.ts'
import { openSource } from '../import/synapse/source/open.ts'
import type { Context } from './context.ts'
import { withSchema } from './database.ts'
import { showProgress } from './import-progress.ts'

/** What the import's commands have in common. */
export interface ImportCommandOptions {
  synapseConfig: string[]
  synapseDatabase?: string
  json?: boolean
}

export function addImportOptions(command: Command): Command {
  return command
    .requiredOption(
      '--synapse-config <path>',
      "Synapse's homeserver.yaml, or a folder of its files; may be given several times, as to Synapse",
      (path: string, before: string[] | undefined) => [...(before ?? []), path],
    )
    .option(
      '--synapse-database <address>',
      "Synapse's database: postgresql://… or the path of an SQLite file (default: what its configuration says)",
      (address: string) => {
        if (address === '') throw new InvalidArgumentError('It is empty.')
        return address
      },
    )
    .option('--json', 'print a report for programs')
}

/** Opens both sides, does it, and closes them. Throws what `importSynapse` throws. */
export async function runImport(
  { terminal, config: readConfig }: Context,
  { synapseConfig, synapseDatabase, json }: ImportCommandOptions,
  mode: ImportOptions['mode'],
): Promise<ImportReport> {
  // Millions of rows of SQLite are garbage a moment later. V8 would let its space for new objects grow to a hundred
  // megabytes meanwhile; without that it takes the same time.
  setFlagsFromString('--semi-space-growth-factor=1')
  const config = await readConfig()
  const homeserver = await readHomeserverConfig(synapseConfig, { cwd: terminal.cwd })
  const { cwd, env } = terminal
  const source = await openSource(homeserver, { override: synapseDatabase, cwd, env })
  const progress = showProgress(terminal, { quiet: json === true })
  try {
    return await withSchema(config, (database) =>
      importSynapse({ config, homeserver, source, database, clock: systemClock, progress, mode }),
    )
  } finally {
    progress.end()
    await source.close().catch(() => undefined)
  }
}
