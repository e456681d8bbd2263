import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { filesOf, HomeserverConfigError, readYaml } from './homeserver-files.ts'

/** Where Synapse keeps its users, devices and tokens. */
export type SynapseDatabase =
  /** `args` as they are handed to psycopg2: libpq's parameters, and Synapse's own `cp_min`, `cp_max`, … */
  { engine: 'postgresql'; args: Record<string, unknown> } | { engine: 'sqlite'; file: string }

/** One place at which Synapse answers. */
export interface SynapseListener {
  type: string
  port: number | undefined
  /** A Unix socket instead of a port. */
  socket: string | undefined
  tls: boolean
  /** Empty where Synapse listens on every address. */
  addresses: string[]
  /** `client`, `federation`, `health`, … */
  resources: string[]
}

/** A Synapse's configuration, merged from its files. */
export interface HomeserverConfig {
  /** The files, in the order in which they were merged. */
  files: string[]
  /** What relative paths are taken from: the folder of the first file. Synapse takes the one it is started in. */
  folder: string
  /** Every key, as it was read. */
  content: Readonly<Record<string, unknown>>
  serverName: string
  /** Undefined where none is configured. Of several (`databases`) the one that holds the store `main`. */
  database: SynapseDatabase | undefined
  listeners: SynapseListener[]
  /** `app_service_config_files`, as absolute paths. */
  appserviceFiles: string[]
  /** `localDatabase` is false where Synapse leaves its own password hashes unused. No pepper is an empty string. */
  passwords: { enabled: boolean; localDatabase: boolean; pepper: string; bcryptRounds: number | undefined }
}

const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)
const texts = z.union([z.array(z.string()), z.string().transform((text) => [text])])

const database = z.looseObject({
  name: z.enum(['psycopg2', 'sqlite3']).default('sqlite3'),
  args: optional(z.record(z.string(), z.unknown())),
  data_stores: optional(z.array(z.string())),
})

const listener = z.looseObject({
  type: z.string().default('http'),
  port: optional(z.number()),
  path: optional(z.string()),
  tls: optional(z.boolean()),
  bind_address: optional(z.string()),
  bind_addresses: optional(z.array(z.string())),
  resources: optional(z.array(z.looseObject({ names: texts }))),
})

const homeserver = z.looseObject({
  server_name: z.string(),
  database: optional(database),
  databases: optional(z.record(z.string(), database)),
  database_path: optional(z.string()),
  listeners: optional(z.array(listener)),
  app_service_config_files: optional(z.array(z.string())),
  password_config: optional(
    z.looseObject({
      enabled: z.union([z.boolean(), z.literal('only_for_reauth')]).optional(),
      localdb_enabled: optional(z.boolean()),
      pepper: optional(z.string()),
    }),
  ),
  bcrypt_rounds: optional(z.number()),
})

/**
 * Reads a Synapse's configuration as Synapse does: files, and folders of `*.yaml` in the order of their names; the
 * top-level keys of a later file take the place of those of an earlier one.
 * @throws HomeserverConfigError where a file cannot be read or the whole is no Synapse's configuration
 */
export async function readHomeserverConfig(
  paths: readonly string[],
  { cwd = process.cwd() }: { cwd?: string } = {},
): Promise<HomeserverConfig> {
  const files = (await Promise.all(paths.map((path) => filesOf(resolve(cwd, path))))).flat()
  const [first] = files
  if (first === undefined) throw new HomeserverConfigError(`${paths.join(', ')}: there is no *.yaml in it`)
  const contents = await Promise.all(files.map(readYaml))
  const content: Record<string, unknown> = Object.assign({}, ...contents)
  const parsed = homeserver.safeParse(content)
  if (!parsed.success) throw new HomeserverConfigError(problemOf(parsed.error, files))
  const folder = dirname(first)
  const { listeners = [], app_service_config_files = [], password_config, bcrypt_rounds } = parsed.data
  return {
    files,
    folder,
    content,
    serverName: parsed.data.server_name,
    database: databaseOf(parsed.data, folder),
    listeners: listeners.map(toListener),
    appserviceFiles: app_service_config_files.map((file) => resolve(folder, file)),
    passwords: {
      enabled: password_config?.enabled !== false,
      localDatabase: password_config?.localdb_enabled !== false,
      pepper: password_config?.pepper ?? '',
      bcryptRounds: bcrypt_rounds,
    },
  }
}

function problemOf(error: z.ZodError, files: readonly string[]): string {
  const where = files.join(', ')
  const { path = [], message = '' } = error.issues[0] ?? {}
  if (path[0] === 'server_name')
    return `${where}: has no server_name; give the homeserver.yaml of Synapse, and its conf.d where it has one`
  return `${where}: ${path.join('.')} is not what Synapse takes there (${message})`
}

function databaseOf(config: z.output<typeof homeserver>, folder: string): SynapseDatabase | undefined {
  const several = Object.values(config.databases ?? {})
  const one = config.database ?? several.find((each) => each.data_stores?.includes('main') ?? true)
  if (one?.name === 'psycopg2') return { engine: 'postgresql', args: one.args ?? {} }
  const file = config.database_path ?? one?.args?.database
  return typeof file === 'string' ? { engine: 'sqlite', file: resolve(folder, file) } : undefined
}

function toListener(each: z.output<typeof listener>): SynapseListener {
  const addresses = each.bind_addresses ?? (each.bind_address ? [each.bind_address] : [])
  const everywhere = addresses.some((address) => ['', '::', '0.0.0.0'].includes(address))
  return {
    type: each.type,
    port: each.port,
    socket: each.path,
    tls: each.tls ?? false,
    addresses: everywhere ? [] : addresses,
    resources: (each.resources ?? []).flatMap(({ names }) => names),
  }
}
