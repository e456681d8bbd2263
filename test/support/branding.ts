import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { BrandingError } from '../../src/branding/error.ts'
import { loadBranding } from '../../src/branding/load.ts'
import { ConfigError, loadConfig } from '../../src/config/index.ts'
import type { Branding } from '../../src/views/index.ts'

/** A folder with a configuration and what it puts on the pages. */
export interface BrandingFolder {
  path: string
  put(name: string, content: string | Uint8Array): Promise<void>
  link(name: string, target: string): Promise<void>
  remove(name: string): Promise<void>
  /** Writes the section and loads everything, as a start of the service does. */
  load(section: Record<string, unknown>): Promise<Branding>
  /** What is wrong with it, with the folder's own path left out. */
  problems(section: Record<string, unknown>): Promise<string[]>
  close(): Promise<void>
}

export async function createBrandingFolder(): Promise<BrandingFolder> {
  const path = await mkdtemp(join(tmpdir(), 'postern-branding-'))

  async function put(name: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), content)
  }

  async function load(section: Record<string, unknown>): Promise<Branding> {
    await put('postern.yaml', stringify({ branding: section }))
    const config = await loadConfig({ env: {}, cwd: path })
    return loadBranding(config.branding, 'example.org')
  }

  return {
    path,
    put,
    load,
    async link(name, target) {
      await mkdir(dirname(join(path, name)), { recursive: true })
      await symlink(target, join(path, name))
    },
    remove: (name) => rm(join(path, name), { recursive: true, force: true }),
    problems: (section) =>
      load(section).then(
        () => [],
        (error: unknown) => {
          if (!(error instanceof BrandingError || error instanceof ConfigError)) throw error
          return error.problems.map((problem) => problem.replaceAll(`${path}/`, ''))
        },
      ),
    close: () => rm(path, { recursive: true, force: true }),
  }
}

/** The smallest PNG: one pixel, with the sides that its header claims. */
export function pngOf(width: number, height: number): Buffer {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=',
    'base64',
  )
  png.writeUInt32BE(width, 16)
  png.writeUInt32BE(height, 20)
  return png
}

export const svgOf = (viewBox: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${viewBox}"><path d="M0 0h9v9z" fill="#246"/></svg>`
