import { readFileSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import pg from 'pg'
import { connectionParameters } from '../conninfo.ts'
import type { HomeserverConfig } from '../homeserver-config.ts'
import { openPostgresqlSource } from './postgresql/store.ts'
import { SourceError, type SynapseSource } from './source.ts'
import { openSqliteSource } from './sqlite/store.ts'

/** Where libpq looks when nobody names a host. */
const DEFAULT_SOCKETS = ['/var/run/postgresql', '/run/postgresql', '/tmp']

/**
 * Opens the database that Synapse's configuration names, or another one.
 * @param override a postgresql:// address, or the path of an SQLite file
 * @throws SourceError
 */
export async function openSource(
  config: HomeserverConfig,
  { override, cwd, env }: { override: string | undefined; cwd: string; env: NodeJS.ProcessEnv },
): Promise<SynapseSource> {
  if (override !== undefined) {
    if (!/^postgres(ql)?:\/\//.test(override)) return openSqliteSource(resolve(cwd, override))
    return openPostgresqlSource({ connectionString: override }, addressOf({ connectionString: override }))
  }
  const { database } = config
  if (database === undefined) {
    throw new SourceError(
      `${config.files.join(', ')}: names no database; add the file that does, or give --synapse-database`,
    )
  }
  if (database.engine === 'sqlite') return openSqliteSource(database.file)
  const clientConfig = await clientConfigOf(database.args, env)
  return openPostgresqlSource(clientConfig, addressOf(clientConfig))
}

/** libpq's parameters as psycopg2 takes them, for pg. */
async function clientConfigOf(
  args: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
): Promise<pg.ClientConfig> {
  const { host, hostaddr, port, user, password, dbname, sslmode, sslrootcert } = connectionParameters(args)
  const parameters = {
    host: host ?? hostaddr ?? env.PGHOST ?? (await defaultHost(port ?? env.PGPORT ?? '5432')),
    user,
    password,
    database: dbname,
    port: port === undefined ? undefined : Number(port),
    ssl: sslOf(sslmode ?? env.PGSSLMODE, sslrootcert),
  }
  return Object.fromEntries(Object.entries(parameters).filter(([, one]) => one !== undefined))
}

async function defaultHost(port: string): Promise<string> {
  for (const folder of DEFAULT_SOCKETS) {
    const found = await access(`${folder}/.s.PGSQL.${port}`).then(
      () => true,
      () => false,
    )
    if (found) return folder
  }
  return 'localhost'
}

/** As libpq: `require` encrypts and asks for no name; `verify-ca` and `verify-full` check the certificate. */
function sslOf(mode: string | undefined, rootCertificate: string | undefined): pg.ClientConfig['ssl'] {
  if (mode === undefined || ['disable', 'allow', 'prefer'].includes(mode)) return undefined
  const ca = rootCertificate === undefined ? {} : { ca: readFileSync(rootCertificate, 'utf8') }
  return { ...ca, rejectUnauthorized: mode !== 'require' || rootCertificate !== undefined }
}

function addressOf(config: pg.ClientConfig): string {
  const { host, port, user, database } = new pg.Client(config)
  return `postgresql://${user ?? ''}@${host}:${port}/${database ?? ''}`
}
