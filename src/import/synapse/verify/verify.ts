import type { Logger } from 'pino'
import type { Clock } from '../../../clock.ts'
import type { Config } from '../../../config/index.ts'
import { createLookupBatch } from '../../../oauth/introspection/batch.ts'
import { createIntrospector } from '../../../oauth/introspection/introspector.ts'
import type { Database } from '../../../storage/connection.ts'
import { listenersThatAnswer } from '../health.ts'
import type { HomeserverConfig } from '../homeserver-config.ts'
import { type ImportReport, importSynapse, requiresApproval } from '../import.ts'
import type { MoveProgress } from '../move/move.ts'
import type { SynapseSource } from '../source/source.ts'
import { devicesAfter, emailsAfter, firstImport, usersAfter } from './after/store.ts'
import { devicesOf, sampleEmails, sampleUsers } from './before/people/store.ts'
import { sampleTokens } from './before/tokens/store.ts'
import type { Sample } from './difference.ts'
import { compareDevices, compareEmails, compareUsers } from './people.ts'
import { compareTokens, localpartOf, type TokenRules } from './tokens.ts'

export interface VerifyOptions {
  config: Config
  homeserver: HomeserverConfig
  source: SynapseSource
  database: Database
  clock: Clock
  log: Logger
  progress: MoveProgress
  /** How many rows of each kind are compared one by one. */
  sampleSize: number
}

/** What the comparison found. */
export interface Verdict {
  /** Whether the homeserver may be switched over now. */
  safe: boolean
  /** Why not, in words. */
  problems: string[]
  warnings: string[]
  serverName: string
  database: string
  counts: ImportReport['counts']
  /** Without their keys, which the report of the run has. */
  setAside: Omit<ImportReport['setAside'][number], 'examples'>[]
  samples: Record<'tokens' | 'users' | 'devices' | 'emails', Sample>
}

/**
 * Compares what is here with what Synapse has: every row by its count, and samples one by one. Tokens are put to the
 * introspection itself. Changes nothing, and leaves no trace of use on the tokens.
 */
export async function verifySynapse(options: VerifyOptions): Promise<Verdict> {
  const { config, homeserver, source, database, clock, progress } = options
  const { serverName } = homeserver
  const importedAt = await firstImport(database.knex, serverName)
  const look = await importSynapse({ config, homeserver, source, database, clock, progress, mode: 'check' })
  progress.step('comparing samples')
  const samples = await compareSamples(options, importedAt ?? clock.now())
  const problems = [
    ...(importedAt ? [] : ['Nothing was imported yet: run postern import synapse run']),
    ...look.findings.filter(({ level }) => level === 'error').map(({ message }) => message),
    ...(await obstacles(options)),
    ...missingRows(look.counts),
    ...goneRows(look.gone),
    ...Object.values(samples).flatMap(({ differences }) =>
      differences.map(({ table, key, what }) => `${table}: ${key} ${what}`),
    ),
  ]
  return {
    safe: problems.length === 0,
    problems,
    warnings: look.findings.filter(({ level }) => level === 'warning').map(({ message }) => message),
    serverName,
    database: source.address,
    counts: look.counts,
    setAside: look.setAside.map(({ table, reason, count }) => ({ table, reason, count })),
    samples,
  }
}

/** What stands in the way of the switch although the rows are right. */
async function obstacles({ config, homeserver, source }: VerifyOptions): Promise<string[]> {
  const { matrix } = config
  const found: string[] = []
  if (matrix.endpoint === undefined || matrix.secret === undefined)
    found.push('matrix.endpoint and matrix.secret are not set: Synapse could not ask whose a token is')
  const running = [...(await source.users()), ...(await listenersThatAnswer(homeserver.listeners))]
  if (running.length > 0)
    found.push(
      `Synapse seems to be running (${running.join(', ')}): stop it, run the import again, then verify`,
    )
  return found
}

function missingRows(counts: ImportReport['counts']): string[] {
  return Object.entries(counts)
    .filter(([, { moved }]) => moved > 0)
    .map(([table, { moved }]) => `${table}: ${moved} rows of Synapse are not here; run the import again`)
}

function goneRows({ sessions, tokens }: ImportReport['gone']): string[] {
  if (sessions + tokens === 0) return []
  const what = `${sessions} sessions and ${tokens} more tokens were ended in Synapse since they were moved`
  return [`${what}, and still work here; run the import again`]
}

async function compareSamples(
  { homeserver, source, database, clock, log, sampleSize }: VerifyOptions,
  importedAt: Date,
): Promise<Verdict['samples']> {
  const { knex } = database
  const { serverName } = homeserver
  const now = clock.now()
  const rules: TokenRules = { serverName, now, lockUnapproved: requiresApproval(homeserver.content) }
  const batch = createLookupBatch({ clientConfig: database.clientConfig, log })
  // Being verified is no use of a token: nothing is noted.
  const activity = { note: () => undefined, flush: async () => undefined }
  const introspect = createIntrospector({ clock: { now: () => now }, batch, activity })
  try {
    const tokens = await compareTokens(await sampleTokens(source, sampleSize), introspect, rules)
    const users = await sampleUsers(source, sampleSize)
    const localparts = users.flatMap(({ userId }) => localpartOf(userId, serverName) ?? [])
    const userIds = users.map(({ userId }) => userId)
    const emails = await sampleEmails(source, sampleSize)
    const owners = emails.flatMap(({ userId }) => localpartOf(userId, serverName) ?? [])
    const addresses = emails.map(({ address }) => address)
    return {
      tokens,
      users: compareUsers(users, await usersAfter(knex, localparts), rules),
      devices: compareDevices(users, await devicesOf(source, userIds), await devicesAfter(knex, localparts), {
        serverName,
        importedAt,
      }),
      emails: compareEmails(
        emails,
        await emailsAfter(knex, addresses),
        await usersAfter(knex, owners),
        serverName,
      ),
    }
  } finally {
    await batch.close()
  }
}
