import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { PosternError } from '../../errors.ts'

/** A homeserver.yaml that cannot be read, or is none. The message names the file and what to do. */
export class HomeserverConfigError extends PosternError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('homeserver_config', message, options)
  }
}

/** A file itself, or a folder's `*.yaml` in the order of their names. Throws HomeserverConfigError. */
export async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new HomeserverConfigError(`${path}: cannot be read (${error.code})`, { cause: error })
  })
  if (!found.isDirectory()) return [path]
  const entries = await readdir(path, { withFileTypes: true })
  const names = entries.filter((entry) => !entry.isDirectory() && entry.name.endsWith('.yaml'))
  return names.map((entry) => join(path, entry.name)).sort()
}

/** Reads one YAML file of a Synapse; what is no map of keys counts as empty, as it does there. Throws HomeserverConfigError. */
export async function readYaml(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new HomeserverConfigError(`${path}: cannot be read (${error.code})`, { cause: error })
  })
  try {
    // PyYAML reads YAML 1.1, where yes and no are true and false, and lets the last of two equal keys win.
    const content: unknown = parse(text, { version: '1.1', uniqueKeys: false, logLevel: 'error' })
    const isMap = typeof content === 'object' && content !== null && !Array.isArray(content)
    return isMap ? (content as Record<string, unknown>) : {}
  } catch (error) {
    throw new HomeserverConfigError(`${path}: is not valid YAML`, { cause: error })
  }
}
