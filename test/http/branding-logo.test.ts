import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { logoSize } from '../../src/views/logo-size.ts'
import { type BrandingFolder, createBrandingFolder, pngOf, svgOf } from '../support/branding.ts'

let folder: BrandingFolder

beforeAll(async () => {
  folder = await createBrandingFolder()
})
afterAll(() => folder.close())

/** What is wrong with a logo of this content. */
async function wrong(content: string | Uint8Array, name = 'logo.svg') {
  await folder.put(name, content)
  return folder.problems({ logo: name })
}

describe('a logo', () => {
  it('is what its content says, whatever it is called', async () => {
    await folder.put('logo.svg', pngOf(300, 100))
    expect((await folder.load({ logo: 'logo.svg' })).logo).toMatchObject({
      type: 'image/png',
      extension: 'png',
      width: 300,
      height: 100,
    })
    await folder.put('logo.png', svgOf('0 0 120 40'))
    expect((await folder.load({ logo: 'logo.png' })).logo).toMatchObject({
      type: 'image/svg+xml',
      width: 120,
    })
    const jpeg = 'ffd8ffe000104a46494600010100000100010000ffc0000b080010002001011100ffd9'
    await folder.put('logo', Buffer.from(jpeg, 'hex'))
    expect((await folder.load({ logo: 'logo' })).logo).toMatchObject({
      type: 'image/jpeg',
      width: 32,
      height: 16,
    })
    const webp = '524946461a000000574542505650384c0d0000002f1fc003000000000000000000'
    await folder.put('logo', Buffer.from(webp, 'hex'))
    expect((await folder.load({ logo: 'logo' })).logo).toMatchObject({
      type: 'image/webp',
      width: 32,
      height: 16,
    })
  })

  it('of an unknown kind is refused with what to write', async () => {
    const refused = [
      expect.stringMatching(
        /^postern\.yaml:2: branding\.logo: names logo\.svg, which is no picture of a known kind; write the path of an SVG, PNG, JPEG or WebP file$/,
      ),
    ]
    expect(await wrong('GIF89a\u0001\u0000\u0001\u0000')).toEqual(refused)
    expect(await wrong('')).toEqual(refused)
    expect(await wrong('hello')).toEqual(refused)
  })

  it('that is an HTML page with a drawing in it is none', async () => {
    const page = `<!doctype html><script>alert(1)</script>${svgOf('0 0 9 9')}`
    expect(await wrong(page)).toEqual([expect.stringContaining('is no picture of a known kind')])
  })

  it('that would not show is refused: an SVG without namespace or size, a picture without sides', async () => {
    const bare = '<svg viewBox="0 0 9 9"></svg>'
    expect(await wrong(bare)).toEqual([expect.stringContaining('add xmlns="http://www.w3.org/2000/svg"')])
    const endless = '<svg xmlns="http://www.w3.org/2000/svg" width="100%"></svg>'
    expect(await wrong(endless)).toEqual([expect.stringContaining('add a viewBox')])
    expect(await wrong(pngOf(0, 9))).toEqual([expect.stringContaining('is empty')])
  })

  it('that is too large is refused', async () => {
    expect(await wrong(`${svgOf('0 0 9 9')}${' '.repeat(512 * 1024)}`)).toEqual([
      expect.stringContaining('is larger than 512 KiB; write the path of a smaller picture'),
    ])
    expect(await wrong(pngOf(9000, 9))).toEqual([expect.stringContaining('is 9000 × 9 pixels large')])
  })

  it('that cannot be read is refused, and a pipe does not stop the start', async () => {
    expect(await folder.problems({ logo: 'none.svg' })).toEqual([
      expect.stringContaining('names none.svg, which cannot be read (ENOENT)'),
    ])
    await promisify(execFile)('mkfifo', [`${folder.path}/pipe`])
    expect(await folder.problems({ logo: 'pipe' })).toEqual([expect.stringContaining('is not a file')])
    expect(await folder.problems({ logo: '.' })).toEqual([expect.stringMatching(/is not a file|EISDIR/)])
  })

  it('for the dark scheme needs one for the light', async () => {
    expect(await folder.problems({ logo_dark: 'x.svg' })).toEqual([
      'postern.yaml:2: branding.logo_dark: is given without logo; write both, or logo alone',
    ])
  })

  it('gets about the same room whether it is wide, square or tall', () => {
    expect(logoSize({ width: 64, height: 64 }, 48)).toEqual({ width: 48, height: 48 })
    expect(logoSize({ width: 400, height: 100 }, 48)).toEqual({ width: 127, height: 32 })
    expect(logoSize({ width: 100, height: 400 }, 48)).toEqual({ width: 18, height: 73 })
    expect(logoSize({ width: 4000, height: 1 }, 48).height).toBeGreaterThan(20)
  })
})
