import { execFileSync, spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import pino from 'pino'
import { stringify } from 'yaml'
import { openEmbedded } from '../../src/storage/embedded/server.ts'
import { SYNAPSE_SCHEMA } from '../support/import-schema.ts'
import { type DataSet, FULL, fillStatements } from './import-data.ts'

// `npm run bench:import`: makes a Synapse of a hundred thousand users and times its import, beside what PostgreSQL itself
// needs to copy the same tables out and in. With --times 10 one of a million.

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const TABLES = ['users', 'devices', 'refresh_tokens', 'access_tokens', 'user_threepids', 'user_external_ids']
const MEMORY_POLL_MS = 20

interface Place {
  folder: string
  /** libpq's parameters of the server. */
  server: { host: string; port: number; user: string; password: string }
}

async function on<Result>(place: Place, database: string, work: (client: pg.Client) => Promise<Result>) {
  const client = new pg.Client({ ...place.server, database })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

async function makeDatabase(place: Place, name: string): Promise<void> {
  await on(place, 'postgres', async (client) => {
    await client.query(`drop database if exists ${name}`)
    await client.query(`create database ${name} template template0 encoding 'UTF8' locale 'C'`)
  })
}

/** PostgreSQL alone: every table to a file of the server, and from it into the same table with the same indexes. */
async function copyOutAndIn(place: Place): Promise<number> {
  await makeDatabase(place, 'copied')
  await on(place, 'copied', (client) => client.query(SYNAPSE_SCHEMA))
  const file = (table: string) => `'/tmp/postern-bench-${process.pid}-${table}'`
  const seconds = await timed(async () => {
    await on(place, 'synapse', async (client) => {
      for (const table of TABLES) await client.query(`copy ${table} to ${file(table)}`)
    })
    await on(place, 'copied', async (client) => {
      await client.query('begin')
      for (const table of TABLES) await client.query(`copy ${table} from ${file(table)}`)
      await client.query('commit')
    })
  })
  await Promise.all(TABLES.map((table) => rm(file(table).slice(1, -1), { force: true })))
  return seconds
}

interface Measured {
  seconds: number
  megabytes: number
  counts: Record<string, { moved: number; setAside: number }>
}

/** `postern import synapse run` as a process of its own, from start to exit, and the most memory it ever had. */
async function importFrom(place: Place, database: object): Promise<Measured> {
  await makeDatabase(place, 'target')
  const { host, port, user, password } = place.server
  const query = new URLSearchParams({ host, port: String(port), user, password })
  const config = {
    data_folder: join(place.folder, 'data'),
    http: { public_url: 'http://localhost:8080/' },
    database: { uri: `postgresql:///target?${query}` },
    matrix: { server_name: 'localhost.test' },
  }
  const [own, homeserver] = [join(place.folder, 'postern.yaml'), join(place.folder, 'homeserver.yaml')]
  await writeFile(own, stringify(config))
  await writeFile(homeserver, stringify({ server_name: 'localhost.test', database }))
  const migrated = ['--config', own, 'database', 'migrate']
  execFileSync(process.execPath, [MAIN, ...migrated])
  await on(place, 'target', (client) => client.query('checkpoint'))

  const args = [
    ...(process.env.BENCH_NODE ? process.env.BENCH_NODE.split(' ') : []),
    MAIN,
    '--config',
    own,
    'import',
    'synapse',
    'run',
    '--json',
    '--synapse-config',
    homeserver,
  ]
  const started = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  let megabytes = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const poll = setInterval(async () => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
    megabytes = Math.max(megabytes, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024)
  }, MEMORY_POLL_MS)
  const code = await new Promise((resolve) => child.on('close', resolve))
  clearInterval(poll)
  if (code !== 0) throw new Error(`The import failed with ${code}`)
  return { seconds: (performance.now() - started) / 1000, megabytes, counts: JSON.parse(out).counts }
}

function fillSqlite(file: string, data: DataSet): void {
  const database = new DatabaseSync(file)
  database.exec('pragma synchronous = off; pragma journal_mode = off')
  database.exec(SYNAPSE_SCHEMA)
  for (const statement of fillStatements(data)) database.exec(statement)
  database.close()
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { times: { type: 'string', default: '1' }, rounds: { type: 'string', default: '3' } },
  })
  const times = Number(values.times)
  const data = Object.fromEntries(
    Object.entries(FULL).map(([key, count]) => [key, count * times]),
  ) as unknown as DataSet
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-import-'))
  // As root PostgreSQL runs under another account, which has to get in.
  await chmod(folder, 0o711)
  const server = await openEmbedded(folder, { log: pino({ level: 'silent' }) })
  const { host, port, user, password } = server.clientConfig as Place['server']
  const place: Place = { folder, server: { host, port, user, password } }
  try {
    await makeDatabase(place, 'synapse')
    await on(place, 'synapse', async (client) => {
      await client.query(SYNAPSE_SCHEMA)
      for (const statement of fillStatements(data)) await client.query(statement)
      await client.query('vacuum analyze')
    })
    const sqlite = join(folder, 'homeserver.db')
    fillSqlite(sqlite, data)
    const postgresql = { name: 'psycopg2', args: { host, port, user, password, dbname: 'synapse' } }
    console.log(
      `${data.users} users, ${data.devices} devices, ${data.access} access and ${data.refresh} refresh tokens`,
    )
    for (let round = 1; round <= Number(values.rounds); round++) {
      const copy = await copyOutAndIn(place)
      const fromPostgresql = await importFrom(place, postgresql)
      const fromSqlite = await importFrom(place, { name: 'sqlite3', args: { database: sqlite } })
      console.log(
        [
          `PostgreSQL's own copy ${copy.toFixed(2)} s`,
          `from PostgreSQL ${line(fromPostgresql)} (${(fromPostgresql.seconds / copy).toFixed(2)} × its copy)`,
          `from SQLite ${line(fromSqlite)} (${(fromSqlite.seconds / fromPostgresql.seconds).toFixed(2)} × PostgreSQL)`,
        ].join('; '),
      )
      if (round === 1) console.log(JSON.stringify(fromPostgresql.counts))
    }
  } finally {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function line({ seconds, megabytes }: Measured): string {
  return `${seconds.toFixed(2)} s, ${megabytes.toFixed(0)} MB`
}

await main()
