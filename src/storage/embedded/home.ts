import { createHash, randomBytes } from 'node:crypto'
import { chown, lstat, mkdir, readlink, realpath, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../log.ts'
import { StorageError } from '../storage-error.ts'
import { type Account, canReach, postgresAccount } from './account.ts'
import { SYSTEM_FOLDER } from './binaries.ts'

/** Where one embedded database lives. All paths are real ones, free of links. */
export interface Home {
  dataFolder: string
  /** PostgreSQL's own data directory. */
  cluster: string
  /** The folder of its Unix socket. */
  socketFolder: string
  logFile: string
  passwordFile: string
  /** The account that PostgreSQL runs under, or undefined for our own. */
  account: Account | undefined
}

/** `sun_path` takes 108 bytes with its final NUL, and PostgreSQL names its socket `.s.PGSQL.5432`. */
const LONGEST_SOCKET_FOLDER = 107 - '/.s.PGSQL.5432'.length

/**
 * Makes the folders of an embedded database, or finds those that an earlier start made.
 * Throws a StorageError where they cannot be used.
 */
export async function prepareHome(dataFolder: string, log: Log): Promise<Home> {
  await makeDataFolder(dataFolder)
  const root = await realpath(dataFolder)
  const entry = join(root, 'postgres')
  const account = postgresAccount(await ownerOf(join(entry, 'cluster')))
  await makeFolder(entry, root, account, log)
  const folder = await realpath(entry)
  return {
    dataFolder: root,
    cluster: join(folder, 'cluster'),
    socketFolder: await makeSocketFolder(folder, account),
    logFile: join(root, 'postgres.log'),
    passwordFile: join(root, 'database-password'),
    account,
  }
}

/**
 * Makes the data folder where it is missing. Ours alone; but as root its folder may be entered (not listed) by
 * others, because PostgreSQL then runs under another account and works in a folder below. What is secret in the
 * data folder has permissions of its own.
 */
async function makeDataFolder(dataFolder: string): Promise<void> {
  await mkdir(dataFolder, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
}

async function ownerOf(path: string): Promise<Account | undefined> {
  return stat(path).catch(() => undefined)
}

/** Makes `<data folder>/postgres`: a folder, or a link where PostgreSQL's account cannot reach the data folder. */
async function makeFolder(
  entry: string,
  root: string,
  account: Account | undefined,
  log: Log,
): Promise<void> {
  const found = await lstat(entry).catch(() => undefined)
  if (found?.isSymbolicLink() && (await ownerOf(entry)) === undefined) {
    throw new StorageError(
      `The database of ${root} is missing: it was kept in ${await readlink(entry)}, which is gone. Restore that folder from a backup, or remove ${entry} to start with an empty database`,
    )
  }
  if (found === undefined) {
    if (account === undefined || canReach(account, root)) {
      await mkdir(entry, { mode: 0o700 }).catch(unlessExists)
    } else {
      await makeElsewhere(entry, log)
    }
  }
  if (account !== undefined) {
    if (!canReach(account, await parentOf(entry))) {
      throw new StorageError(
        `PostgreSQL does not run as root, and its account (${account.uid}) cannot enter ${root}: let others enter it and the folders above (chmod o+x), or run the service under an account of its own`,
      )
    }
    await chown(entry, account.uid, account.gid)
  }
}

async function parentOf(entry: string): Promise<string> {
  return join(await realpath(entry), '..')
}

/**
 * The folder's name is random rather than derived from the data folder's: a data folder that was removed and made
 * again must not find the old one's database.
 */
async function makeElsewhere(entry: string, log: Log): Promise<void> {
  const folder = join(SYSTEM_FOLDER, randomBytes(8).toString('hex'))
  try {
    await mkdir(SYSTEM_FOLDER, { recursive: true, mode: 0o755 })
    await mkdir(folder, { mode: 0o700 })
  } catch (cause) {
    throw new StorageError(
      `PostgreSQL does not run as root, and the account it runs under can neither enter the data folder nor be given ${SYSTEM_FOLDER}: run the service under an account of its own, or set database.uri`,
      { cause },
    )
  }
  await symlink(folder, entry).catch(unlessExists)
  log.warn({ folder, link: entry }, 'storage.database_outside_data_folder')
}

function unlessExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

/**
 * The socket lies beside the cluster where its path is short enough, else in the system's folder for temporary
 * files: private, and refused where somebody else was there first.
 */
async function makeSocketFolder(folder: string, account: Account | undefined): Promise<string> {
  const own = account ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const beside = join(folder, 'socket')
  const short = Buffer.byteLength(beside) <= LONGEST_SOCKET_FOLDER
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  const socketFolder = short ? beside : join(await realpath(tmpdir()), `postern-${hash}`)
  let made = true
  await mkdir(socketFolder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    unlessExists(error)
    made = false
  })
  if (made && account !== undefined) await chown(socketFolder, account.uid, account.gid)
  const stats = await lstat(socketFolder)
  const ours = stats.uid === own.uid || stats.uid === process.getuid?.()
  if (!stats.isDirectory() || !ours || (stats.mode & 0o077) !== 0) {
    throw new StorageError(
      `${socketFolder} is not a private folder of the account that PostgreSQL runs under: remove it`,
    )
  }
  // A process that was killed between making the folder and giving it away.
  if (account !== undefined && stats.uid !== account.uid) await chown(socketFolder, account.uid, account.gid)
  return socketFolder
}
