import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type CommandResult, runCommand } from './command.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { IMPORT_PEPPER, IMPORT_SERVER_NAME } from './import-people.ts'
import { OLD_SYNAPSE_SCHEMA, SYNAPSE_SCHEMA } from './import-schema.ts'
import { createOldDatabase, type Engine, type OldDatabase } from './migrate/old-database.ts'

export { addMisfits, addPeople } from './import-people.ts'

export const ENGINES: readonly Engine[] = ['PostgreSQL', 'SQLite']

/** A Synapse that is only its database and its configuration, and a Postern to move it to. */
export interface ImportFixture {
  folder: string
  /** Synapse's database. */
  synapse: OldDatabase
  /** Postern's database. */
  target: TestDatabase
  close(): Promise<void>
}

/** Makes Synapse's tables, empty, beside an empty Postern. */
export async function createSynapseTables(
  engine: Engine,
  { schema = 'new' }: { schema?: 'new' | 'old' } = {},
): Promise<ImportFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-import-'))
  const synapse = await createOldDatabase(engine, join(folder, 'homeserver.db'))
  await synapse.run(schema === 'new' ? SYNAPSE_SCHEMA : OLD_SYNAPSE_SCHEMA)
  const target = await createTestDatabase()
  return {
    folder,
    synapse,
    target,
    async close() {
      await synapse.close()
      await target.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export interface ConfigOverrides {
  /** Keys of homeserver.yaml. */
  synapse?: Record<string, unknown>
  /** Sections of Postern's configuration. */
  postern?: Record<string, object>
}

/** Writes both configurations and answers the arguments that name them. */
export async function configFor(
  { folder, synapse, target }: ImportFixture,
  overrides: ConfigOverrides = {},
): Promise<string[]> {
  const homeserver = join(folder, 'homeserver.yaml')
  const bridge = join(folder, 'bridge.yaml')
  const postern = join(folder, 'postern.yaml')
  await writeFile(bridge, stringify(BRIDGE))
  await writeFile(
    homeserver,
    stringify({
      server_name: IMPORT_SERVER_NAME,
      database: synapse.section,
      password_config: { pepper: IMPORT_PEPPER },
      app_service_config_files: [bridge],
      ...overrides.synapse,
    }),
  )
  await writeFile(
    postern,
    stringify({
      data_folder: join(folder, 'data'),
      http: { public_url: 'http://localhost:8080/' },
      database: { uri: target.uri },
      matrix: { server_name: IMPORT_SERVER_NAME },
      passwords: { bcrypt_pepper: IMPORT_PEPPER },
      ...overrides.postern,
    }),
  )
  return ['--config', postern, '--synapse-config', homeserver]
}

const BRIDGE = {
  id: 'bridge',
  url: null,
  as_token: 'as-token-of-the-bridge',
  hs_token: 'hs-token-of-the-bridge',
  sender_localpart: 'bridgebot',
  namespaces: { users: [{ regex: `@bridge_.*:${IMPORT_SERVER_NAME}`, exclusive: true }] },
}

/** Runs `postern import synapse …` in this process. */
export async function runImportCommand(
  fixture: ImportFixture,
  command: 'check' | 'run' | 'verify',
  args: string[] = [],
  overrides: ConfigOverrides = {},
): Promise<CommandResult> {
  const [flag, postern, ...synapse] = await configFor(fixture, overrides)
  const argv = [String(flag), String(postern), 'import', 'synapse', command, ...synapse, ...args]
  return runCommand(argv, { cwd: fixture.folder })
}
