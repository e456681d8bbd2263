import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { type Context, createContext } from './context.ts'
import { addDoctor } from './doctor.ts'
import { reportError } from './errors.ts'
import { addReload } from './reload.ts'
import { addServer } from './server.ts'
import type { Terminal } from './terminal.ts'

type AddCommand = (parent: Command, context: Context) => void

/** A group of commands. Its code is loaded when it is asked for: no command waits until that of the others is loaded. */
interface Group {
  description: string
  load(): Promise<AddCommand[]>
}

const groups: Record<string, Group> = {
  config: {
    description: 'write or check the configuration',
    load: async () => [
      (await import('./config-generate.ts')).addConfigGenerate,
      (await import('./config-check.ts')).addConfigCheck,
    ],
  },
  database: {
    description: 'look after the database',
    load: async () => [
      (await import('./database-migrate.ts')).addDatabaseMigrate,
      (await import('./database-backup.ts')).addDatabaseBackup,
      (await import('./database-restore.ts')).addDatabaseRestore,
      (await import('./database-move.ts')).addDatabaseMove,
    ],
  },
  user: {
    description: 'look after the users',
    load: async () => [
      (await import('./user-add.ts')).addUserAdd,
      (await import('./user-set-password.ts')).addUserSetPassword,
      (await import('./user-set-admin.ts')).addUserSetAdmin,
      (await import('./user-lock.ts')).addUserLock,
      (await import('./user-unlock.ts')).addUserUnlock,
      (await import('./user-deactivate.ts')).addUserDeactivate,
      (await import('./user-reactivate.ts')).addUserReactivate,
      (await import('./user-list.ts')).addUserList,
      (await import('./user-sessions.ts')).addUserSessions,
    ],
  },
  session: {
    description: 'look after the sessions of apps',
    load: async () => [(await import('./session-issue.ts')).addSessionIssue],
  },
  client: {
    description: 'look after the OAuth clients',
    load: async () => [
      (await import('./client-list.ts')).addClientList,
      (await import('./client-add.ts')).addClientAdd,
    ],
  },
  keys: {
    description: 'look after the signing keys',
    load: async () => [
      (await import('./keys-list.ts')).addKeysList,
      (await import('./keys-rotate.ts')).addKeysRotate,
    ],
  },
  import: {
    description: 'move users over',
    load: async () => [(await import('./import-synapse.ts')).addImportSynapse],
  },
  policy: {
    description: 'try the rules of policies.folder',
    load: async () => [
      (await import('./policy-test.ts')).addPolicyTest,
      (await import('./policy-explain.ts')).addPolicyExplain,
    ],
  },
}

/** Runs one command and returns its exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { program, load } = createProgram(terminal)
    // Commander prints the help of a group without a word to us before.
    if (argv[0] === 'help' && argv[1] !== undefined) await load(argv[1])
    await program.parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    // Commander has said what it has to say already.
    if (error instanceof CommanderError) return error.exitCode
    reportError(error, terminal)
    return 1
  }
}

function createProgram(terminal: Terminal): { program: Command; load(name: string): Promise<void> } {
  const program = new Command('postern')
    .description('The authentication service beside a Matrix homeserver')
    .version(version())
    .option('-c, --config <file>', 'the configuration file (default: POSTERN_CONFIG, then ./postern.yaml)')
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
    })
  const context = createContext(terminal, () => program.opts<{ config?: string }>().config)

  addServer(program, context)
  addReload(program, context)
  addDoctor(program, context)
  for (const [name, { description }] of Object.entries(groups)) program.command(name).description(description)

  const load = async (name: string) => {
    const group = program.commands.find((command) => command.name() === name)
    if (group) for (const add of (await groups[name]?.load()) ?? []) add(group, context)
  }
  program.hook('preSubcommand', (_program, command) => load(command.name()))
  return { program, load }
}

/** This package's version, from the package.json two folders up in a clone and in the published package. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
