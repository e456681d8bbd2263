import { createHmac, randomBytes } from 'node:crypto'
import { access, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { freePort } from './postern.ts'
import { runSynapse } from './synapse-process.ts'

export interface SynapseOptions {
  /** The `server_name`. */
  serverName?: string
  /** Where the configuration, keys, database and log live; kept from an earlier start. A new temporary one if absent. */
  dataFolder?: string
  /** A fixed port; a free one if absent. */
  port?: number
  /** Hands authentication to this service; without it Synapse keeps its own login. */
  delegated?: { endpoint: string; secret: string }
  /** psycopg2 arguments of a PostgreSQL database with C collation; SQLite if absent. */
  postgres?: Record<string, unknown>
  /** Appservice registrations. */
  appservices?: object[]
  /** Further keys of homeserver.yaml. */
  config?: Record<string, unknown>
}

export interface RunningSynapse {
  /** Ends without a slash. */
  readonly url: string
  readonly serverName: string
  readonly dataFolder: string
  /** Makes a user and signs it in; only where Synapse has its own login. */
  registerUser(user: { localpart: string; password: string; admin?: boolean }): Promise<SynapseLogin>
  /** The log so far. */
  log(): Promise<string>
  stop(): Promise<void>
}

export interface SynapseLogin {
  userId: string
  accessToken: string
  deviceId: string
}

/** The `registration_shared_secret` of every Synapse of the tests. */
export const registrationSecret = 'registration-secret-of-tests'

/** Starts a real Synapse on a free port of 127.0.0.1 and waits until it answers. */
export async function startSynapse(options: SynapseOptions = {}): Promise<RunningSynapse> {
  const { serverName = 'localhost' } = options
  const dataFolder = options.dataFolder ?? (await mkdtemp(join(tmpdir(), 'postern-synapse-')))
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  await mkdir(dataFolder, { recursive: true })
  const appserviceFiles = await writeAppservices(dataFolder, options.appservices ?? [])
  const config = { ...homeserverConfig(options, serverName, dataFolder, port), ...options.config }
  if (appserviceFiles.length > 0) Object.assign(config, { app_service_config_files: appserviceFiles })
  const configFile = join(dataFolder, 'homeserver.yaml')
  await writeFile(configFile, stringify(config))
  await writeSigningKey(join(dataFolder, 'signing.key'))

  const running = await runSynapse({ configPaths: [configFile], url, dataFolder })
  if (!options.postgres) await waitForIndexes(join(dataFolder, 'homeserver.db'))

  return {
    url,
    serverName,
    dataFolder,
    ...running,
    registerUser: (user) => registerUser(url, user),
  }
}

function homeserverConfig(
  { delegated, postgres }: SynapseOptions,
  serverName: string,
  dataFolder: string,
  port: number,
): Record<string, unknown> {
  const often = { per_second: 1000, burst_count: 1000 }
  return {
    server_name: serverName,
    public_baseurl: `http://127.0.0.1:${port}/`,
    pid_file: join(dataFolder, 'homeserver.pid'),
    listeners: [
      {
        port,
        type: 'http',
        tls: false,
        bind_addresses: ['127.0.0.1'],
        resources: [{ names: ['client'], compress: false }],
      },
    ],
    database: postgres
      ? { name: 'psycopg2', args: { cp_min: 1, cp_max: 5, ...postgres } }
      : { name: 'sqlite3', args: { database: join(dataFolder, 'homeserver.db') } },
    media_store_path: join(dataFolder, 'media'),
    signing_key_path: join(dataFolder, 'signing.key'),
    registration_shared_secret: registrationSecret,
    macaroon_secret_key: 'macaroon-secret-of-tests',
    form_secret: 'form-secret-of-tests',
    report_stats: false,
    // A new database gets its indexes in the background, one a second; some calls fail before that is done.
    background_updates: { sleep_enabled: false },
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    rc_login: { address: often, account: often },
    rc_registration: often,
    rc_message: often,
    ...(delegated
      ? {
          password_config: { pepper: 'pepper!' },
          matrix_authentication_service: { enabled: true, ...delegated },
        }
      : {
          password_config: { enabled: true, pepper: 'pepper!' },
          refreshable_access_token_lifetime: '1h',
          allow_guest_access: true,
        }),
  }
}

async function writeAppservices(dataFolder: string, registrations: object[]): Promise<string[]> {
  return Promise.all(
    registrations.map(async (registration, index) => {
      const file = join(dataFolder, `appservice-${index}.yaml`)
      await writeFile(file, stringify(registration))
      return file
    }),
  )
}

/** A signing key, unless there is one. Written here because Synapse's own `--generate-keys` is one more start of Python. */
export async function writeSigningKey(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  )
  if (exists) return
  const seed = randomBytes(32).toString('base64').replace(/=+$/, '')
  await writeFile(file, `ed25519 a_tests ${seed}\n`)
}

async function waitForIndexes(sqliteFile: string): Promise<void> {
  const database = new DatabaseSync(sqliteFile, { readOnly: true, timeout: 5_000 })
  const deadline = Date.now() + 30_000
  try {
    const pending = database.prepare('select count(*) as count from background_updates')
    while (pending.get()?.count !== 0) {
      if (Date.now() > deadline) throw new Error('Synapse did not finish its indexes')
      await sleep(100)
    }
  } finally {
    database.close()
  }
}

/** Synapse's registration by shared secret: `/_synapse/admin/v1/register`. */
export async function registerUser(
  url: string,
  { localpart, password, admin = false }: { localpart: string; password: string; admin?: boolean },
): Promise<SynapseLogin> {
  const endpoint = `${url}/_synapse/admin/v1/register`
  const { nonce } = (await (await fetch(endpoint)).json()) as { nonce: string }
  const mac = createHmac('sha1', registrationSecret)
    .update([nonce, localpart, password, admin ? 'admin' : 'notadmin'].join('\0'))
    .digest('hex')
  const response = await fetch(endpoint, {
    method: 'POST',
    body: JSON.stringify({ nonce, username: localpart, password, admin, mac }),
  })
  if (!response.ok) throw new Error(`Synapse did not register ${localpart}: ${await response.text()}`)
  const body = (await response.json()) as { user_id: string; access_token: string; device_id: string }
  return { userId: body.user_id, accessToken: body.access_token, deviceId: body.device_id }
}
