import { chmod, lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account } from './account.ts'

/** Calls `visit` for a folder and everything below it, links themselves included. */
async function walk(path: string, visit: (path: string) => Promise<void>): Promise<void> {
  await visit(path)
  if (!(await lstat(path)).isDirectory()) return
  for (const name of await readdir(path)) await walk(join(path, name), visit)
}

/** Lets everyone read a folder and all below it, whatever umask it was made under. */
export async function openPermissions(folder: string): Promise<void> {
  await walk(folder, async (path) => {
    const stats = await lstat(path)
    if (stats.isSymbolicLink()) return
    const executable = stats.isDirectory() || (stats.mode & 0o100) !== 0
    await chmod(path, executable ? 0o755 : 0o644)
  })
}

/** Gives a folder and all below it to `account`; undefined leaves it as it is. */
export async function giveTo(account: Account | undefined, folder: string): Promise<void> {
  if (account === undefined) return
  await walk(folder, (path) => lchown(path, account.uid, account.gid))
}
