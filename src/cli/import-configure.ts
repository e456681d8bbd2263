import { resolve } from 'node:path'
import type { Command } from 'commander'
import { PosternError } from '../errors.ts'
import type { Configured } from '../import/synapse/configure/configure.ts'
import type { SynapseVerdict } from '../import/synapse/configure/synapse-check.ts'
import type { Context } from './context.ts'
import { parsePublicUrl } from './public-url.ts'
import type { Terminal } from './terminal.ts'

interface Options {
  synapseConfig: string[]
  publicUrl?: string
  out: string
  databaseName: string
  synapsePython?: string
  force?: boolean
  json?: boolean
}

export function addImportConfigure(parent: Command, { terminal }: Context): void {
  parent
    .command('configure')
    .description(
      "write Postern's configuration from homeserver.yaml, and the homeserver.yaml that goes with it",
    )
    .requiredOption(
      '--synapse-config <path>',
      'homeserver.yaml, or a folder of such files; again for further ones',
      (path: string, paths: string[] = []) => [...paths, path],
    )
    .requiredOption('--out <folder>', 'where to write both; made if it is not there')
    .option('--public-url <url>', 'the address under which browsers will reach this service')
    .option('--database-name <name>', "the database beside Synapse's, on the same server", 'postern')
    .option('--synapse-python <path>', 'a Python that has Synapse, to check the edited homeserver.yaml with')
    .option('--force', 'overwrite what an earlier run wrote')
    .option('--json', 'print a summary as JSON')
    .action((options: Options) => run(options, terminal))
}

async function run(options: Options, terminal: Terminal): Promise<void> {
  // Only here: the other commands need not wait until all this is loaded.
  const { configure } = await import('../import/synapse/configure/configure.ts')
  const { checkWithSynapse } = await import('../import/synapse/configure/synapse-check.ts')
  const { writeNewFiles } = await import('../import/synapse/configure/write.ts')
  const at = (path: string) => resolve(terminal.cwd, path)
  const configured = await configure({
    synapseConfig: options.synapseConfig.map(at),
    out: at(options.out),
    publicUrl: parsePublicUrl(options.publicUrl),
    databaseName: options.databaseName,
  })
  const { postern, synapse, homeserver } = configured
  await writeNewFiles([postern, ...synapse], { sources: homeserver.files, force: options.force ?? false })
  const edited = homeserver.files.map((file) => synapse.find(({ source }) => source === file)?.path ?? file)
  const python = options.synapsePython?.includes('/') ? at(options.synapsePython) : options.synapsePython
  const verdict = python ? await checkWithSynapse(python, edited, homeserver.folder) : undefined
  if (options.json) terminal.print(JSON.stringify(summaryOf(configured, verdict), undefined, 2))
  else explain(configured, verdict, terminal)
  if (verdict && !verdict.accepted)
    throw new PosternError('synapse_check', `Synapse does not accept its configuration: ${verdict.message}`)
}

function summaryOf(
  { postern, synapse, notes, createDatabase }: Configured,
  verdict: SynapseVerdict | undefined,
) {
  return {
    postern: { file: postern.path, not_carried_over: notes },
    synapse: synapse.map(({ source, path, removed }) => ({
      source,
      file: path,
      commented_out: removed.map(({ path, why, refused }) => ({ option: path.join('.'), why, refused })),
    })),
    create_database: createDatabase ?? null,
    accepted_by_synapse: verdict?.accepted ?? null,
    synapse_message: verdict?.message ?? null,
  }
}

function explain(
  { postern, synapse, notes, createDatabase, homeserver }: Configured,
  verdict: SynapseVerdict | undefined,
  { print }: Terminal,
): void {
  print(`Written: ${postern.path}`)
  for (const { section, text } of notes) print(`  ${section}: ${text}`)
  for (const { path, source, removed } of synapse) {
    print(`Written: ${path} (from ${source})`)
    for (const { path, refused } of removed)
      print(`  commented out: ${path.join('.')}${refused ? '' : ' (without effect)'}`)
  }
  if (verdict?.accepted) print('Synapse accepts the edited configuration.')
  print('')
  print(
    'Both hold secrets, and only you may read them: give each the owner of the account that it runs under.',
  )
  print('Next:')
  if (createDatabase) print(`  make Postern's database: ${createDatabase}`)
  if (homeserver.appserviceFiles.length > 0)
    print(`  let Postern's account read: ${homeserver.appserviceFiles.join(', ')}`)
  print(`  postern config check --config ${postern.path}`)
  print(
    '  look through what was not carried over, in both files; put the edited homeserver.yaml in place when you switch',
  )
}
