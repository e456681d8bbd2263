import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Other processes that have a database file open, in words. Only Linux says so (`/proc`), and only of processes of
 * one's own account, or to root.
 */
export async function processesWith(file: string, proc = '/proc'): Promise<string[]> {
  const path = await realpath(file)
  const files = new Set([path, `${path}-wal`, `${path}-journal`])
  const pids = await readdir(proc).catch(() => [])
  const found: string[] = []
  for (const pid of pids) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue
    if (!(await hasOpen(join(proc, pid, 'fd'), files))) continue
    const command = await readFile(join(proc, pid, 'comm'), 'utf8').catch(() => '')
    found.push(`process ${pid} (${command.trim() || 'unknown'}) has ${path} open`)
  }
  return found
}

async function hasOpen(folder: string, files: ReadonlySet<string>): Promise<boolean> {
  const descriptors = await readdir(folder).catch(() => [])
  for (const descriptor of descriptors) {
    // It may be closed between the two looks.
    const target = await readlink(join(folder, descriptor)).catch(() => '')
    if (files.has(target)) return true
  }
  return false
}
