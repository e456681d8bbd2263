import type { Client } from 'pg'
import { newId, toUuid } from '../../../ids.ts'
import { withoutIndexes } from '../../../storage/without-indexes.ts'
import type { SynapseSource } from '../source/source.ts'
import { SYNAPSE_TABLES } from '../source/tables.ts'
import { resolveAddresses, writeAddresses } from './addresses/store.ts'
import { type Gone, resolveGone, writeGone } from './again/store.ts'
import { resolveDevices, writeDevices } from './devices/store.ts'
import {
  countHere,
  countRows,
  countUserKinds,
  listSetAside,
  type SetAside,
  type TableCounts,
  type UserKinds,
  writeReport,
} from './report/store.ts'
import { analyzeStaging, copyRows, copySuccessors, createStaging, dropStaging } from './staging/store.ts'
import { resolveTokens, writeTokens } from './tokens/store.ts'
import { resolveUsers, type UserRules, writeUsers } from './users/store.ts'

/** The tables here that get many rows. */
const TARGETS = [
  'users',
  'user_passwords',
  'user_emails',
  'user_third_party_ids',
  'upstream_links',
  'sessions',
  'tokens',
]

/** Below this many rows it takes longer to make the indexes again than to keep them. */
const FEW_ROWS = 20_000

/** Who watches an import. */
export interface MoveProgress {
  /** A table begins; `total` is an estimate. */
  table(name: string, total: number): void
  /** So many of its rows have come. */
  rows(count: number): void
  /** Anything else that takes its time. */
  step(name: string): void
}

export interface Move {
  client: Client
  source: SynapseSource
  rules: UserRules
  progress: MoveProgress
  /**
   * `commit` moves the rows; `rollback` does all the same work and takes it back; `look` decides about every row and
   * writes none, so that nobody who uses the database has to wait.
   */
  mode: 'commit' | 'rollback' | 'look'
  /** Whether a server uses the database: then its tables keep their indexes, as it could not read them meanwhile. */
  served: boolean
}

export interface Moved {
  counts: Record<string, TableCounts>
  kinds: UserKinds
  setAside: SetAside[]
  /** What earlier imports brought and Synapse has ended since: a run ends it here too. */
  gone: Gone
}

/**
 * Moves a Synapse's rows here in one transaction: copied as they are, then decided about, then written. An import that
 * is stopped or killed has changed nothing, and one that runs again finds what is here already and adds the rest.
 */
export async function moveSynapse(move: Move): Promise<Moved> {
  const { client, source, rules, progress, mode } = move
  const startedAt = rules.now
  await client.query('begin')
  try {
    await copyEverything(client, source, progress)
    progress.step('deciding about every row')
    await resolveUsers(client, rules)
    await resolveAddresses(client)
    await resolveDevices(client, rules.now)
    await resolveTokens(client, rules.now)
    const moved = {
      counts: await countRows(client),
      kinds: await countUserKinds(client),
      setAside: await listSetAside(client),
      gone: await resolveGone(client),
    }
    if (mode !== 'look') {
      await write(move, moved.counts)
      const id = toUuid(newId(startedAt))
      const { serverName } = rules
      await writeReport(client, { id, serverName, startedAt, finishedAt: new Date(), counts: moved.counts })
    }
    await dropStaging(client)
    await client.query(mode === 'commit' ? 'commit' : 'rollback')
    return moved
  } catch (error) {
    // A connection that broke has rolled back already.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function copyEverything(client: Client, source: SynapseSource, progress: MoveProgress): Promise<void> {
  await createStaging(client)
  for (const table of SYNAPSE_TABLES) {
    progress.table(table.name, await source.estimate(table))
    await copyRows(client, table, source.read(table), progress.rows)
  }
  await copySuccessors(client, source.unusedSuccessors())
  await analyzeStaging(client)
}

async function write(
  { client, rules: { now }, progress, served }: Move,
  counts: Record<string, TableCounts>,
): Promise<void> {
  const rows = Object.values(counts).reduce((sum, { moved }) => sum + moved, 0)
  const many = !served && rows > FEW_ROWS && rows > (await countHere(client)) / 4
  const writeRows = async () => {
    await writeGone(client, now)
    progress.step('writing users')
    await writeUsers(client, now)
    progress.step('writing addresses and links')
    await writeAddresses(client, now)
    progress.step('writing devices')
    await writeDevices(client, now)
    progress.step('writing tokens')
    await writeTokens(client, now)
    if (many) progress.step('making indexes')
  }
  await (many ? withoutIndexes(client, TARGETS, writeRows) : writeRows())
}
