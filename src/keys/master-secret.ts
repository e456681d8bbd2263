import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/index.ts'
import { createFile } from './create-file.ts'
import { KeyError } from './error.ts'

/**
 * The 32 bytes from which everything else is derived: those of the configuration, or those in the data folder,
 * which are made when there are none.
 * @throws KeyError when the file is there and not usable
 */
export async function loadMasterSecret(config: Config): Promise<Buffer> {
  if (config.secrets.master !== undefined) return Buffer.from(config.secrets.master, 'hex')
  const path = join(config.data_folder, 'master-secret')
  const existing = await read(path)
  if (existing !== undefined) return parse(path, existing)
  await createFile(path, `${randomBytes(32).toString('hex')}\n`)
  // Read it back: another process may have been first.
  return parse(path, (await read(path)) ?? '')
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new KeyError(path, `cannot be read (${code}); let the service read it`, error)
  }
}

function parse(path: string, content: string): Buffer {
  const text = content.trim()
  if (!/^[0-9A-Fa-f]{64}$/.test(text)) {
    const advice = 'restore it from a backup (a new one makes stored codes and cookies unusable)'
    throw new KeyError(path, `is not 64 hexadecimal digits; ${advice}`)
  }
  return Buffer.from(text, 'hex')
}
