import { randomUUID } from 'node:crypto'
import { link, open, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { KeyError } from './error.ts'

/**
 * Writes a file that is not there yet, readable by the owner only, whole or not at all: a hard link takes the name
 * only when the content is on the disk, and fails when another process was first.
 * @returns whether this call made the file; false when it was there already
 */
export async function createFile(path: string, content: string): Promise<boolean> {
  const temporary = join(dirname(path), `.${basename(path)}-${randomUUID()}`)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await link(temporary, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    throw new KeyError(path, `cannot be written (${code}); let the service write to its folder`, error)
  } finally {
    await unlink(temporary).catch(() => undefined)
  }
}
