import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { endpointOf } from '../endpoint.ts'
import { type HomeserverConfig, readHomeserverConfig } from '../homeserver-config.ts'
import { carryPasswords, type Note, noteLifetimes } from './carry.ts'
import { databaseBeside } from './database.ts'
import { editHomeserverYaml, SECTION } from './edit-homeserver.ts'
import type { Obsolete } from './obsolete.ts'
import { renderPosternYaml } from './postern-yaml.ts'
import { mapUpstream } from './upstream.ts'
import type { NewFile } from './write.ts'
import { parseYamlFile } from './yaml-file.ts'

const POSTERN_YAML = 'postern.yaml'

export interface ConfigureOptions {
  /** Absolute paths of homeserver.yaml and its like: files, and folders of them. */
  synapseConfig: readonly string[]
  /** An absolute path. */
  out: string
  /** Ends with a slash. */
  publicUrl: string | undefined
  databaseName: string
}

/** Both configurations, not written yet. */
export interface Configured {
  homeserver: HomeserverConfig
  postern: NewFile
  /** Those of Synapse's files that change. */
  synapse: (NewFile & { source: string; removed: Obsolete[] })[]
  notes: Note[]
  /** The SQL that makes Postern's database; undefined for the embedded one. */
  createDatabase: string | undefined
}

/**
 * Makes Postern's configuration from homeserver.yaml, and the homeserver.yaml that goes with it. Both hold the same
 * secret: that of an earlier run's section, or else a new one.
 * @throws HomeserverConfigError, and PosternError where the database's name is Synapse's own
 */
export async function configure(options: ConfigureOptions): Promise<Configured> {
  const { synapseConfig, out, publicUrl, databaseName } = options
  const homeserver = await readHomeserverConfig(synapseConfig)
  const { content, serverName, listeners, appserviceFiles } = homeserver
  const endpoint =
    endpointOf(listeners) ?? (typeof content.public_baseurl === 'string' ? content.public_baseurl : undefined)
  const old = (content[SECTION] ?? {}) as { secret?: unknown; secret_path?: unknown }
  const secret = secretOf(old, homeserver.folder)
  const section = {
    enabled: true,
    // On the machine's own address it works before DNS and TLS do.
    endpoint: `http://localhost:8080${publicUrl ? new URL(publicUrl).pathname : '/'}`,
    ...secret.synapse,
  }
  const database = databaseBeside(homeserver.database, databaseName)
  const passwords = carryPasswords(homeserver)
  const notes: Note[] = [
    ...missing(publicUrl, endpoint),
    ...database.notes.map((text) => ({ section: 'database', text })),
    ...passwords.notes,
    ...noteLifetimes(content),
  ]
  const values = {
    http: { public_url: publicUrl },
    matrix: { server_name: serverName, endpoint, ...(endpoint ? secret.postern : {}) },
    database: { uri: database.uri },
    secrets: { master: randomBytes(32).toString('hex') },
    appservices: { registration_files: appserviceFiles.length > 0 ? appserviceFiles : undefined },
    passwords: passwords.values,
  }
  const text = renderPosternYaml({ values, notes, upstream: mapUpstream(content), content })
  return {
    homeserver,
    postern: { path: join(out, POSTERN_YAML), text },
    synapse: await editFiles(homeserver.files, out, section),
    notes,
    createDatabase: database.create,
  }
}

function secretOf({ secret, secret_path }: { secret?: unknown; secret_path?: unknown }, folder: string) {
  if (typeof secret_path === 'string')
    return { synapse: { secret_path }, postern: { secret_file: resolve(folder, secret_path) } }
  const shared = typeof secret === 'string' && secret !== '' ? secret : randomBytes(32).toString('hex')
  return { synapse: { secret: shared }, postern: { secret: shared } }
}

function missing(publicUrl: string | undefined, endpoint: string | undefined): Note[] {
  const notes: Note[] = []
  if (!publicUrl)
    notes.push({
      section: 'http',
      text: 'set public_url to the address under which browsers reach this service.',
    })
  if (!endpoint)
    notes.push({
      section: 'matrix',
      text: `homeserver.yaml does not tell where Synapse listens in plain HTTP: set endpoint, and secret to its ${SECTION}.secret.`,
    })
  return notes
}

/** Edits every file that needs it. Files after the first keep their folder (conf.d), so that names cannot collide. */
async function editFiles(files: readonly string[], out: string, section: Record<string, unknown>) {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
  const roots = texts.map((text, index) => parseYamlFile(text, files[index]!))
  // Where it stands already, or else in the main file; it becomes a comment wherever else it stands.
  const home = Math.max(
    roots.findLastIndex(({ value }) => SECTION in value),
    roots.findIndex(({ root }) => root !== undefined),
  )
  const taken = new Set([join(out, POSTERN_YAML)])
  return files.flatMap((source, index) => {
    const edited = editHomeserverYaml(texts[index]!, source, index === home ? section : undefined)
    if (edited.text === texts[index]) return []
    const folder = dirname(source) === dirname(files[0]!) ? '' : basename(dirname(source))
    let path = join(out, folder, basename(source))
    for (let number = 2; taken.has(path); number++) path = join(out, `${number}`, folder, basename(source))
    taken.add(path)
    return [{ source, path, ...edited }]
  })
}
