import { randomBytes } from 'node:crypto'
import { lstat, mkdir, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { PosternError } from '../../../errors.ts'

/** A file to be written, and its text. */
export interface NewFile {
  path: string
  text: string
}

/**
 * Writes files that only their owner may read: they hold secrets. All or none are written where one is in the way.
 * @param sources files that must stay as they are, whatever `force` says: they are the way back
 * @throws PosternError for a file that is there already, or cannot be written
 */
export async function writeNewFiles(
  files: readonly NewFile[],
  { sources, force }: { sources: readonly string[]; force: boolean },
): Promise<void> {
  const originals = new Set(await Promise.all(sources.map((source) => realpath(source))))
  for (const { path } of files) {
    const there = await realpath(path).catch(() => path)
    if (originals.has(there))
      throw new PosternError('output', `${path}: is what is read from; give --out another folder`)
    if (!force && (await exists(path)))
      throw new PosternError('output', `${path}: is there already; --force overwrites it`)
  }
  for (const { path, text } of files) await write(path, text)
}

/** Writes beside the name and renames, so that a file which is there already neither keeps its mode nor is followed as a link. */
async function write(path: string, text: string): Promise<void> {
  const draft = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await mkdir(dirname(resolve(path)), { recursive: true, mode: 0o700 })
    await writeFile(draft, text, { flag: 'wx', mode: 0o600 })
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    const { code } = error as NodeJS.ErrnoException
    throw new PosternError('output', `${path}: cannot be written (${code})`, { cause: error })
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
}
