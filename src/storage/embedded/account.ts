import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** The operating-system account that PostgreSQL runs under. */
export interface Account {
  uid: number
  gid: number
}

/** The traditional number of `nobody`, where /etc/passwd names neither it nor `postgres`. */
const NOBODY: Account = { uid: 65534, gid: 65534 }

/**
 * The account to run PostgreSQL under, or undefined for our own. PostgreSQL refuses to run as root, so there it is
 * the owner of the cluster that exists already, else `postgres`, else `nobody`.
 */
export function postgresAccount(clusterOwner: Account | undefined): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  if (clusterOwner !== undefined && clusterOwner.uid !== 0) return clusterOwner
  return accountNamed('postgres') ?? accountNamed('nobody') ?? NOBODY
}

function accountNamed(name: string): Account | undefined {
  let passwd: string
  try {
    passwd = readFileSync('/etc/passwd', 'utf8')
  } catch {
    return undefined
  }
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([user]) => user === name)
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) }
}

/**
 * Whether `account` may read a file (or enter a folder) by the permission bits of it and of every folder above.
 * `path` must exist and be free of symbolic links.
 */
export function canReach(account: Account, path: string): boolean {
  const stats = statSync(path)
  const need = stats.isDirectory() ? 0o1 : 0o4
  if (!allowed(account, path, need)) return false
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!allowed(account, folder, 0o1)) return false
    if (folder === dirname(folder)) return true
  }
}

function allowed(account: Account, path: string, bits: number): boolean {
  const { mode, uid, gid } = statSync(path)
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0
  return ((mode >> shift) & bits) === bits
}
