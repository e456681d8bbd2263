import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addClientAdd } from './client-add.ts'
import { addClientList } from './client-list.ts'
import { addConfigCheck } from './config-check.ts'
import { addConfigGenerate } from './config-generate.ts'
import { createContext } from './context.ts'
import { addDatabaseBackup } from './database-backup.ts'
import { addDatabaseMigrate } from './database-migrate.ts'
import { addDatabaseMove } from './database-move.ts'
import { addDatabaseRestore } from './database-restore.ts'
import { addDoctor } from './doctor.ts'
import { reportError } from './errors.ts'
import { addImportCheck } from './import-check.ts'
import { addImportConfigure } from './import-configure.ts'
import { addImportRun } from './import-run.ts'
import { addImportVerify } from './import-verify.ts'
import { addKeysList } from './keys-list.ts'
import { addKeysRotate } from './keys-rotate.ts'
import { addPolicyExplain } from './policy-explain.ts'
import { addPolicyTest } from './policy-test.ts'
import { addReload } from './reload.ts'
import { addServer } from './server.ts'
import { addSessionIssue } from './session-issue.ts'
import type { Terminal } from './terminal.ts'
import { addUserAdd } from './user-add.ts'
import { addUserDeactivate } from './user-deactivate.ts'
import { addUserList } from './user-list.ts'
import { addUserLock } from './user-lock.ts'
import { addUserReactivate } from './user-reactivate.ts'
import { addUserSessions } from './user-sessions.ts'
import { addUserSetAdmin } from './user-set-admin.ts'
import { addUserSetPassword } from './user-set-password.ts'
import { addUserUnlock } from './user-unlock.ts'

/** Runs one command and returns its exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    // Commander has said what it has to say already.
    if (error instanceof CommanderError) return error.exitCode
    reportError(error, terminal)
    return 1
  }
}

function createProgram(terminal: Terminal): Command {
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

  const config = program.command('config').description('write or check the configuration')
  addConfigGenerate(config, context)
  addConfigCheck(config, context)

  const database = program.command('database').description('look after the database')
  addDatabaseMigrate(database, context)
  addDatabaseBackup(database, context)
  addDatabaseRestore(database, context)
  addDatabaseMove(database, context)

  const user = program.command('user').description('look after the users')
  addUserAdd(user, context)
  addUserSetPassword(user, context)
  addUserSetAdmin(user, context)
  addUserLock(user, context)
  addUserUnlock(user, context)
  addUserDeactivate(user, context)
  addUserReactivate(user, context)
  addUserList(user, context)
  addUserSessions(user, context)

  const session = program.command('session').description('look after the sessions of apps')
  addSessionIssue(session, context)

  const client = program.command('client').description('look after the OAuth clients')
  addClientList(client, context)
  addClientAdd(client, context)

  const keys = program.command('keys').description('look after the signing keys')
  addKeysList(keys, context)
  addKeysRotate(keys, context)

  const synapse = program.command('import').description('move users over').command('synapse')
  synapse.description('move a Synapse over')
  addImportConfigure(synapse, context)
  addImportCheck(synapse, context)
  addImportRun(synapse, context)
  addImportVerify(synapse, context)

  const policy = program.command('policy').description('try the rules of policies.folder')
  addPolicyTest(policy, context)
  addPolicyExplain(policy, context)
  return program
}

/** This package's version, from the package.json two folders up in a clone and in the published package. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
