import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ageDatabase } from '../support/migrate/by-hand.ts'
import { passwordLogin, whoami } from '../support/migrate/matrix-api.ts'
import { createOldDatabase, type OldDatabase } from '../support/migrate/old-database.ts'
import { layOutSynapse, type OldSynapse } from '../support/migrate/old-synapse.ts'
import { fillSynapse, OLD_PASSWORD, type OldSession } from '../support/migrate/people.ts'
import { freePort } from '../support/postern.ts'
import { runSynapse, type SynapseProcess } from '../support/synapse-process.ts'

describe.each(['PostgreSQL', 'SQLite'] as const)('a Synapse on %s', (engine) => {
  let folder: string
  let database: OldDatabase
  let old: OldSynapse
  let synapse: SynapseProcess | undefined
  let people: Record<string, OldSession>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-migrate-'))
    database = await createOldDatabase(engine, join(folder, 'homeserver.db'))
    const port = await freePort()
    old = await layOutSynapse(folder, { port, publicUrl: `http://127.0.0.1:${port}/`, database })
    const start = () => runSynapse({ configPaths: old.configPaths, url: old.url, dataFolder: old.data })
    synapse = await start()
    people = await fillSynapse(old.url)
    await synapse.stop()
    Object.assign(people, await ageDatabase(database))
    synapse = await start()
  })
  afterAll(async () => {
    await synapse?.stop()
    await database?.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('before the switch, its own login knows everyone and every token works', async () => {
    expect((await passwordLogin(old.url, 'alice@mail.example.test', OLD_PASSWORD)).status).toBe(200)
    const statuses = await Promise.all(
      Object.entries(people).map(async ([name, { accessToken }]) => [
        name,
        (await whoami(old.url, accessToken)).status,
      ]),
    )
    const refused = { dora: 401, lotte: 401, lotteTablet: 401, erikTablet: 401, keeper: 401 }
    const all = Object.fromEntries(Object.keys(people).map((name) => [name, 200]))
    expect(Object.fromEntries(statuses)).toEqual({ ...all, ...refused })
  })
})
