import pg from 'pg'
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config/index.ts'
import { PosternError } from '../../errors.ts'
import { type Database, isServed } from '../../storage/connection.ts'
import { readAppservices } from './appservices.ts'
import { type Finding, findInConfiguration, findInData } from './findings.ts'
import { listenersThatAnswer } from './health.ts'
import type { HomeserverConfig } from './homeserver-config.ts'
import { type Moved, type MoveProgress, moveSynapse } from './move/move.ts'
import type { SynapseSource } from './source/source.ts'

/** Synapse runs, or a configuration is wrong: nothing was moved. */
export class ImportRefusedError extends PosternError {
  constructor(message: string) {
    super('import_refused', message)
  }
}

export interface ImportOptions {
  config: Config
  homeserver: HomeserverConfig
  source: SynapseSource
  database: Database
  clock: Clock
  progress: MoveProgress
  /** `check` writes nothing, `dry-run` takes back what it wrote, `run` keeps it. */
  mode: 'check' | 'dry-run' | 'run'
}

/** What an import did, or a check found. */
export interface ImportReport {
  mode: ImportOptions['mode']
  serverName: string
  database: string
  findings: Finding[]
  counts: Moved['counts']
  users: Moved['kinds']
  setAside: Moved['setAside']
  gone: Moved['gone']
  /** How long it took, and about how long a run takes. */
  seconds: number
  estimatedSeconds: number
}

/**
 * Moves a Synapse's users, devices and tokens here, or looks at what would be moved.
 * @throws ImportRefusedError where a run would be wrong: Synapse is up, or the configurations do not fit
 */
export async function importSynapse(options: ImportOptions): Promise<ImportReport> {
  const { config, homeserver, source, database, clock, progress, mode } = options
  const findings = findInConfiguration(homeserver, config)
  const errors = findings.filter(({ level }) => level === 'error')
  if (mode !== 'check' && errors.length > 0)
    throw new ImportRefusedError(errors.map(({ message }) => message).join('; '))
  const running = [...(await source.users()), ...(await listenersThatAnswer(homeserver.listeners))]
  if (mode === 'run' && running.length > 0) {
    const fix = 'stop it first, so that no change is lost; a dry run works beside it'
    throw new ImportRefusedError(`Synapse seems to be running (${running.join(', ')}): ${fix}`)
  }
  if (running.length > 0) {
    const message = `Synapse seems to be running (${running.join(', ')}): stop it before the run`
    findings.push({ level: 'warning', code: 'running', message })
  }
  const served = await isServed(database)
  if (served) {
    const message = 'A postern server runs on this database: without it the import is several times faster'
    findings.push({ level: 'warning', code: 'served', message })
  }
  const appservices = await readAppservices(homeserver)
  for (const message of appservices.problems) findings.push({ level: 'warning', code: 'appservice', message })
  const rules = {
    serverName: homeserver.serverName,
    now: clock.now(),
    appservices: appservices.patterns,
    lockUnapproved: requiresApproval(homeserver.content),
  }
  const started = performance.now()
  const client = new pg.Client({ ...database.clientConfig, application_name: 'postern import' })
  // A connection that breaks fails the query that runs on it.
  client.on('error', () => undefined)
  await client.connect()
  try {
    const moveMode = { check: 'look', 'dry-run': 'rollback', run: 'commit' } as const
    const moved = await moveSynapse({ client, source, rules, progress, mode: moveMode[mode], served })
    const seconds = Math.round(performance.now() - started) / 1000
    return {
      mode,
      serverName: homeserver.serverName,
      database: source.address,
      findings: [...findings, ...findInData(source, moved)],
      counts: moved.counts,
      users: moved.kinds,
      setAside: moved.setAside,
      gone: moved.gone,
      seconds,
      // What a check leaves out, writing, is about half of the work.
      estimatedSeconds: Math.ceil(mode === 'check' ? seconds * 2 : seconds),
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** MSC3866: new accounts wait for an administrator, who Synapse will not ask any more. */
export function requiresApproval(content: Readonly<Record<string, unknown>>): boolean {
  const { experimental_features: features } = content as { experimental_features?: Record<string, unknown> }
  const { enabled, require_approval_for_new_accounts: required } = (features?.msc3866 ?? {}) as Record<
    string,
    unknown
  >
  return enabled === true && required === true
}
