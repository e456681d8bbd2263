import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Knex } from 'knex'
import { stringify } from 'yaml'
import { serverLog } from '../../src/cli/log.ts'
import { type Config, loadConfig } from '../../src/config/index.ts'
import type { App } from '../../src/server/app.ts'
import { type RunningServer, startServer } from '../../src/server/server.ts'
import { createTestClock, type TestClock } from './clock.ts'
import { createTestDatabase } from './database.ts'
import { type FakeHomeserver, startFakeHomeserver } from './fake-homeserver.ts'
import { freePort } from './free-port.ts'

export { freePort }

export const HOMESERVER_SECRET = 'secret-shared-with-the-homeserver'

/** A running service on a database of its own, with a homeserver that the test controls. */
export interface TestPostern {
  /** The public address, ending with a slash. */
  url: string
  config: Config
  clock: TestClock
  db: Knex
  homeserver: FakeHomeserver
  /** The service from inside, for what only an operator can do. */
  app: App
  /** The configuration file. */
  file: string
  reload: RunningServer['reload']
  /** Every line that was logged so far. */
  logged: string[]
  close(): Promise<void>
}

export interface PosternOptions {
  /** Merged over the test's defaults, a section at a time. */
  config?: Record<string, object>
  /** The path of the public address, such as `auth/`. */
  path?: string
  /** A homeserver other than the fake one. */
  homeserver?: { endpoint: string; secret: string; serverName: string }
  clock?: TestClock
  /** A second server on the same database, with the same keys and the same homeserver. */
  beside?: TestPostern
  logLevel?: string
}

export async function startPostern({
  config = {},
  path = '',
  homeserver,
  beside,
  clock = beside?.clock ?? createTestClock(),
  logLevel = 'debug',
}: PosternOptions = {}): Promise<TestPostern> {
  // The data folder holds the keys, which replicas share.
  const folder = beside?.config.data_folder ?? (await mkdtemp(join(tmpdir(), 'postern-test-')))
  const database = beside ? undefined : await createTestDatabase()
  const db = beside?.db ?? database?.knex
  if (!db) throw new Error('A server needs a database')
  const fake = beside?.homeserver ?? (await startFakeHomeserver({ secret: HOMESERVER_SECRET }))
  const port = await freePort()
  const url = `http://localhost:${port}/${path}`
  const defaults: Record<string, object> = {
    http: { public_url: url, listeners: [{ host: 'localhost', port }] },
    database: { uri: database?.uri ?? beside?.config.database.uri },
    matrix: {
      server_name: homeserver?.serverName ?? 'localhost.test',
      endpoint: homeserver?.endpoint ?? fake.url,
      secret: homeserver?.secret ?? HOMESERVER_SECRET,
      request_timeout: 2,
    },
    client_registration: { allow_insecure_uris: true },
  }
  const merged: Record<string, unknown> = { data_folder: folder }
  for (const section of new Set([...Object.keys(defaults), ...Object.keys(config)])) {
    const given = config[section]
    merged[section] = Array.isArray(given) ? given : { ...defaults[section], ...given }
  }
  const file = join(folder, `postern-${port}.yaml`)
  await writeFile(file, stringify(merged))
  const readConfig = () => loadConfig({ file, env: {}, cwd: folder })
  const loaded = await readConfig()

  const logged: string[] = []
  const log = serverLog(logLevel, { write: (line: string) => void logged.push(line) })
  const server = await startServer(loaded, { log, clock, readConfig })
  return {
    url,
    config: loaded,
    clock,
    db,
    homeserver: fake,
    app: server.app,
    file,
    reload: server.reload,
    logged,
    async close() {
      await server.close()
      // What was there before stays with whoever started it.
      if (beside) return
      await fake.stop()
      await database?.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
