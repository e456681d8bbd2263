import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { PlacedPath } from '../config/sections/branding.ts'

const MAX_FILES = 500
const MAX_BYTES = 256 * 1024

/** A text file of a folder, by its path below it (with `/`, whatever the system has). */
export interface FoundFile {
  name: string
  path: string
  source: string
}

/** What an error of the file system is called. */
export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

/** Hidden files (which Kubernetes makes, and macOS) and what editors leave behind. */
const isSkipped = (name: string) => name.startsWith('.') || name.endsWith('~')

/**
 * Reads every text file below a folder. Nothing outside of it is read, whatever links point to: a folder of templates
 * may come from elsewhere, and pages are shown to everybody.
 */
export async function readFolder({
  path: folder,
  where,
}: PlacedPath): Promise<{ files: FoundFile[]; problems: string[] }> {
  const files: FoundFile[] = []
  const problems: string[] = []

  async function readInto(name: string, root: string): Promise<void> {
    const path = join(folder, name)
    const real = await realpath(path).catch((error) => {
      problems.push(`${path}: cannot be read (${errorCode(error)}); remove it, or mend where it leads`)
    })
    if (real === undefined) return
    if (!real.startsWith(root + sep)) {
      problems.push(`${path}: is a link that leaves the folder; put a copy of the file in its place`)
      return
    }
    const found = await stat(real)
    if (!found.isFile()) problems.push(`${path}: is not a file; remove it`)
    else if (found.size > MAX_BYTES)
      problems.push(`${path}: is larger than ${MAX_BYTES / 1024} KiB; shorten it`)
    else files.push({ name, path, source: await readFile(real, 'utf8') })
  }

  async function walk(below: string, root: string): Promise<void> {
    const entries = await readdir(join(folder, below), { withFileTypes: true })
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (isSkipped(entry.name)) continue
      const name = below === '' ? entry.name : `${below}/${entry.name}`
      if (files.length >= MAX_FILES) throw new Error(`has more than ${MAX_FILES} files`)
      if (entry.isDirectory()) await walk(name, root)
      else await readInto(name, root)
    }
  }

  try {
    await walk('', await realpath(folder))
  } catch (error) {
    const what = `cannot be read (${errorCode(error)})`
    problems.push(
      `${where}: names ${folder}, which ${what}; write the path of a folder that the service may read`,
    )
  }
  return { files, problems }
}
