import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pino from 'pino'
import { afterAll, onTestFinished } from 'vitest'
import { type Database, openDatabase } from '../../src/storage/connection.ts'

const holder = fileURLToPath(new URL('embedded-holder.ts', import.meta.url))

/** A folder for one test that other accounts may enter, gone with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-embedded-'))
  await chmod(folder, 0o711)
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A folder with a database that is made already, as an earlier start would leave it. */
export async function folderWithDatabase(): Promise<string> {
  prepared ??= prepare()
  const folder = await temporaryFolder()
  await promisify(execFile)('cp', ['-a', `${await prepared}/.`, folder])
  return folder
}

let prepared: Promise<string> | undefined
afterAll(async () => {
  if (prepared !== undefined) await rm(await prepared, { recursive: true, force: true })
})

async function prepare(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-embedded-'))
  await chmod(folder, 0o711)
  await (await openDatabase(embeddedIn(folder), { log: pino({ level: 'silent' }) })).close()
  return folder
}

const embeddedIn = (folder: string) => ({
  data_folder: folder,
  database: { uri: undefined, max_connections: 2 },
})

/** Opens the embedded database of a folder in this process. Closed at the end of the test at the latest. */
export async function openHere(dataFolder: string): Promise<Database> {
  const database = await openDatabase(embeddedIn(dataFolder), { log: pino({ level: 'silent' }) })
  let closed: Promise<void> | undefined
  const close = () => (closed ??= database.close())
  onTestFinished(close)
  return { ...database, close }
}

/** Opens it in a process of its own, as that account where one is given. */
export async function openElsewhere(
  dataFolder: string,
  { role = 'command', uid, gid }: { role?: 'command' | 'server'; uid?: number; gid?: number } = {},
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, dataFolder, role], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  const first = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
  if (String(first[0]) !== 'open\n') throw new Error(`The other process ended: ${first[0]}`)
  return child
}

/** Ends another process and waits until it is gone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

/** The process number of the PostgreSQL of a data folder, or undefined where none runs. */
export async function postgresPid(dataFolder: string): Promise<number | undefined> {
  const text = await readFile(join(dataFolder, 'postgres/cluster/postmaster.pid'), 'utf8').catch(
    () => undefined,
  )
  return text === undefined ? undefined : Number(text.split('\n')[0])
}
