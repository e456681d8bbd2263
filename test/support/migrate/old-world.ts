import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import { freePort } from '../postern.ts'
import { startDocumentedProxy } from '../proxies.ts'
import { runSynapse, type SynapseProcess } from '../synapse-process.ts'
import { synapsePython } from '../synapse-python.ts'
import { ageDatabase } from './by-hand.ts'
import { type Guide, readGuide } from './guide.ts'
import { createMachine, type Machine } from './machine.ts'
import { createOldDatabase, type Engine, type OldDatabase } from './old-database.ts'
import { layOutSynapse, type OldSynapse, requireApproval } from './old-synapse.ts'
import { fillSynapse, type OldSession } from './people.ts'
import { layOutPostern, posternUnit } from './postern-unit.ts'
import { type PublicAddress, startPublicAddress } from './public-address.ts'

/** An operator's machine on which a Synapse with its own login has run for years, and everything around it. */
export interface OldWorld {
  database: OldDatabase
  synapse: OldSynapse & { log(): Promise<string> }
  /** In place of /opt/postern. */
  opt: string
  /** What the operator writes into Postern's configuration for its listener. */
  posternPort: number
  /** Postern's public address, ending with a slash. */
  posternUrl: string
  /** The homeserver, as apps know it. */
  homeserver: PublicAddress
  /** A real nginx with what docs/reverse-proxy.md says; ends without a slash. */
  newProxy: string
  machine: Machine
  guide: Guide
  /** Whose step 1 belongs to it. */
  installGuide: Guide
  people: Record<string, OldSession>
  close(): Promise<void>
}

export async function startOldWorld(engine: Engine): Promise<OldWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-migrate-'))
  const [synapsePort, posternPort, matrix, auth, site] = await Promise.all([1, 2, 3, 4, 5].map(freePort))
  const database = await createOldDatabase(engine, join(folder, 'var/lib/matrix-synapse/homeserver.db'))
  const homeserver = await startPublicAddress(`http://127.0.0.1:${synapsePort}`)
  const synapse = await layOutSynapse(folder, {
    port: Number(synapsePort),
    publicUrl: `${homeserver.url}/`,
    database,
  })
  const opt = await layOutPostern(folder)
  const nginx = await startDocumentedProxy('nginx', {
    synapse: `127.0.0.1:${synapsePort}`,
    postern: `127.0.0.1:${posternPort}`,
    ports: { matrix: Number(matrix), auth: Number(auth), site: Number(site) },
    registrations: [await readFile(join(synapse.etc, 'bridge.yaml'), 'utf8')],
  })
  let running: SynapseProcess | undefined
  const units = {
    'matrix-synapse': {
      async start() {
        running = await runSynapse({ ...synapse, dataFolder: synapse.data })
      },
      stop: async () => running?.stop(),
    },
    postern: posternUnit(opt, Number(posternPort)),
    nginx: homeserver.unit,
  }
  const env = {
    PGURI: inject('testDatabase').serverUri,
    POSTERN_HTTP__LISTENERS: `[{ host: 127.0.0.1, port: ${posternPort} }]`,
  }
  const machine = await createMachine(folder, { units, env })
  const databaseName = `postern_test_${randomBytes(8).toString('hex')}`
  const posternUrl = `http://127.0.0.1:${auth}/`
  const guide = await readGuide('docs/migrate-from-synapse.md', {
    '/etc/matrix-synapse': synapse.etc,
    '/var/lib/matrix-synapse': synapse.data,
    '/opt/postern': opt,
    '/opt/venvs/matrix-synapse/bin/python': await synapsePython(),
    '/usr/local/bin': machine.bin,
    'https://auth.example.org/': posternUrl,
    'https://matrix.example.org/': `${homeserver.url}/`,
    // The test's PostgreSQL has other tenants, and another owner.
    'configure --out': `configure --database-name ${databaseName} --out`,
    'drop database postern': `drop database ${databaseName}`,
    'create database postern owner synapse_user': `create database ${databaseName} owner "${database.section.args.user}"`,
  })
  const installGuide = await readGuide('docs/install.md', {
    '/opt/postern': opt,
    '/usr/local/bin': machine.bin,
  })
  await units['matrix-synapse'].start()
  const people = await fillSynapse(synapse.url)
  await units['matrix-synapse'].stop()
  Object.assign(people, await ageDatabase(database))
  await requireApproval(synapse)
  await units['matrix-synapse'].start()

  return {
    database,
    synapse: { ...synapse, log: async () => (await running?.log()) ?? '' },
    opt,
    posternPort: Number(posternPort),
    posternUrl,
    homeserver,
    newProxy: `http://127.0.0.1:${matrix}`,
    machine,
    guide,
    installGuide,
    people,
    async close() {
      await units.postern.stop()
      await units['matrix-synapse'].stop()
      await nginx.stop()
      await homeserver.close()
      await database.close()
      await machine.run(`psql -c 'drop database if exists ${databaseName} with (force)'`)
      await machine.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
