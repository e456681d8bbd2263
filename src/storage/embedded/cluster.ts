import { execFile } from 'node:child_process'
import { chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { StorageError } from '../storage-error.ts'
import type { Binaries } from './binaries.ts'
import type { Home } from './home.ts'
import { isAlive } from './process-state.ts'

/** The database's superuser and the database itself. */
export const DATABASE_USER = 'postern'

/** The major version of the binaries; a cluster belongs to one major version. */
const MAJOR_VERSION = '18'

/**
 * Makes the cluster (initdb) where there is none. It is made under another name and renamed at the end: an
 * interrupted initdb leaves nothing that looks like a cluster, and of several processes one wins.
 */
export async function ensureCluster(home: Home, binaries: Binaries, password: string): Promise<void> {
  const version = await clusterVersion(home.cluster)
  if (version === undefined) return makeCluster(home, binaries, password)
  if (version !== MAJOR_VERSION) {
    throw new StorageError(
      `The database in ${home.cluster} belongs to PostgreSQL ${version}, and this version of Postern carries PostgreSQL ${MAJOR_VERSION}: dump it with the version that made it`,
    )
  }
}

async function clusterVersion(cluster: string): Promise<string | undefined> {
  return readFile(join(cluster, 'PG_VERSION'), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  )
}

async function makeCluster(home: Home, binaries: Binaries, password: string): Promise<void> {
  await removeInterrupted(home.cluster)
  const temporary = `${home.cluster}.new-${process.pid}`
  const passwordFile = `${temporary}-password`
  try {
    await mkdir(temporary, { mode: 0o700 })
    await writeFile(passwordFile, password, { mode: 0o600 })
    if (home.account !== undefined) {
      await chown(temporary, home.account.uid, home.account.gid)
      await chown(passwordFile, home.account.uid, home.account.gid)
    }
    await runInitdb(home, binaries, temporary, passwordFile)
    await rename(temporary, home.cluster).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster, and the database is the one that it made.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(passwordFile, { force: true })
    await rm(temporary, { recursive: true, force: true })
  }
}

async function runInitdb(
  home: Home,
  binaries: Binaries,
  folder: string,
  passwordFile: string,
): Promise<void> {
  const options = [
    ['--pgdata', folder],
    ['--username', DATABASE_USER],
    ['--pwfile', passwordFile],
    ['--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8'],
    ['--no-locale', '--no-instructions'],
  ].flat()
  try {
    await promisify(execFile)(binaries.initdb, options, {
      ...home.account,
      cwd: dirname(folder),
      env: { LC_ALL: 'C', TZ: 'UTC' },
    })
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    throw new StorageError(`The embedded database could not be made in ${home.cluster}`, {
      cause: error,
      ...(stderr ? { detail: stderr } : {}),
    })
  }
}

/** Removes what an initdb left behind whose process is gone. */
async function removeInterrupted(cluster: string): Promise<void> {
  const parent = dirname(cluster)
  for (const name of await readdir(parent)) {
    const pid = new RegExp(`^${basename(cluster)}\\.new-(\\d+)`).exec(name)?.[1]
    // Our own number on a folder that we have not made yet: another container's or boot's process.
    if (pid === undefined || (Number(pid) !== process.pid && isAlive(Number(pid)))) continue
    await rm(join(parent, name), { recursive: true, force: true })
  }
}
