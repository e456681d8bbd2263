import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A disk of its own, in memory, that a test can fill. Needs root, as tests have it in CI. */
export interface SmallDisk {
  folder: string
  /** Leaves no room at all. */
  fill(): Promise<void>
  /** Gives back what `fill` took. */
  free(): Promise<void>
  unmount(): Promise<void>
}

export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0711`, 'tmpfs', folder])
  await chmod(folder, 0o711)
  const filler = join(folder, 'filler')
  return {
    folder,
    async fill() {
      // The database takes from the same disk meanwhile, so that what is free cannot be computed.
      for (const size of [1024 * 1024, 4096]) {
        const chunk = Buffer.alloc(size)
        while (await fits(filler, chunk));
      }
    },
    free: () => rm(filler, { force: true }),
    async unmount() {
      await run('umount', ['--lazy', folder])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function fits(file: string, chunk: Buffer): Promise<boolean> {
  return appendFile(file, chunk).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOSPC') throw error
      return false
    },
  )
}

export const mayMount = process.getuid?.() === 0
