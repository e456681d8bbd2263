import { access, constants, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KeyError } from './error.ts'

/**
 * The mode of the data folder: for the service alone. Where root runs the service, the embedded PostgreSQL runs as
 * another user and has to pass through, so others may then enter the folder (but not list it).
 */
export function dataFolderMode(): number {
  return process.getuid?.() === 0 ? 0o711 : 0o700
}

/** Makes a folder, with its parents, where it is not there yet. */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode })
  } catch (error) {
    const code = await reasonOf(path, error as NodeJS.ErrnoException)
    throw new KeyError(
      path,
      `cannot be made (${code}); make the folder and let the service write to it`,
      error,
    )
  }
}

/** A recursive mkdir says ENOENT on a read-only disk: the parent folder says what is really wrong. */
async function reasonOf(path: string, { code }: NodeJS.ErrnoException): Promise<string | undefined> {
  if (code !== 'ENOENT') return code
  return access(dirname(path), constants.W_OK).then(
    () => code,
    (parent: NodeJS.ErrnoException) => parent.code,
  )
}
