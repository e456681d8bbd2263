import { constants, open } from 'node:fs/promises'
import { imageSize } from 'image-size'
import type { PlacedPath } from '../config/sections/branding.ts'
import type { Picture } from '../views/index.ts'
import { errorCode } from './read-folder.ts'

/** A logo is on every page, so a telephone loads it before anything else. */
const MAX_BYTES = 512 * 1024
const MAX_SIDE = 4096

const TYPES: Readonly<Record<string, Pick<Picture, 'type' | 'extension'>>> = {
  svg: { type: 'image/svg+xml', extension: 'svg' },
  png: { type: 'image/png', extension: 'png' },
  jpg: { type: 'image/jpeg', extension: 'jpg' },
  webp: { type: 'image/webp', extension: 'webp' },
}

const WRITE = 'write the path of an SVG, PNG, JPEG or WebP file'

/** Reads a picture and makes sure what it is, by its content alone. @returns it, or what is wrong as one line */
export async function readPicture({ path, where }: PlacedPath): Promise<Picture | string> {
  const wrong = (what: string, write = WRITE) => `${where}: names ${path}, which ${what}; ${write}`
  let body: Buffer
  try {
    const found = await readStart(path)
    if (typeof found === 'string') return wrong(found)
    body = found
  } catch (error) {
    return wrong(`cannot be read (${errorCode(error)})`)
  }
  if (body.length > MAX_BYTES)
    return wrong(`is larger than ${MAX_BYTES / 1024} KiB`, 'write the path of a smaller picture')
  return pictureOf(body, wrong)
}

/** The file's first bytes: one more than allowed tells that it is too large. */
async function readStart(path: string): Promise<Buffer | string> {
  // Without NONBLOCK, opening a pipe waits for somebody to write to it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) return 'is not a file'
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

function pictureOf(body: Buffer, wrong: (what: string, write?: string) => string): Picture | string {
  const isSvg = svgRoot(body)
  try {
    const size = imageSize(body)
    const known = TYPES[size.type ?? '']
    if (!known || (known.extension === 'svg') !== isSvg) return wrong(`is no picture of a known kind`)
    if (
      known.extension === 'svg' &&
      !/\sxmlns=["']http:\/\/www\.w3\.org\/2000\/svg["']/.test(body.toString())
    )
      return wrong('is an SVG without its namespace', 'add xmlns="http://www.w3.org/2000/svg" to its <svg>')
    const { width, height } = size
    if (!(width > 0 && height > 0)) return wrong('is empty')
    if (known.extension !== 'svg' && Math.max(width, height) > MAX_SIDE)
      return wrong(`is ${width} × ${height} pixels large`, `write the path of one of ${MAX_SIDE} at the most`)
    return { ...known, body, width, height }
  } catch {
    if (isSvg)
      return wrong('is an SVG without a size', 'add a viewBox, such as viewBox="0 0 120 40", to its <svg>')
    return wrong('is no picture of a known kind')
  }
}

/** Whether a file is an XML document with the root element `svg`, and not, say, an HTML page with a drawing in it. */
function svgRoot(body: Buffer): boolean {
  const start = body.subarray(0, 64 * 1024).toString()
  return /^\ufeff?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:[^-]|-(?!->))*-->\s*|<!DOCTYPE\s+svg[^>[]*>\s*)*<svg[\s>]/.test(
    start,
  )
}
