import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { createAgent, unescapeHtml } from '../support/agent.ts'
import { createBrandingFolder, pngOf } from '../support/branding.ts'
import { runCommand } from '../support/command.ts'
import { codeBlocks } from '../support/documented.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

/** The worked example of docs/branding.md. */
const example = fileURLToPath(new URL('../../docs/branding-example/', import.meta.url))

let postern: TestPostern
let folder: string
let original: string

beforeAll(async () => {
  postern = await startPostern({ path: 'auth/' })
  folder = dirname(postern.file)
  original = await readFile(postern.file, 'utf8')
  await cp(example, join(folder, 'brand'), { recursive: true })
})
afterAll(() => postern.close())

/** The section of the example, in a configuration that stands beside the example's folder. */
async function exampleSection(): Promise<Record<string, string>> {
  const { branding } = parse(await readFile(join(example, 'postern.yaml'), 'utf8'))
  const below = (key: string) => [key, `brand/${branding[key]}`]
  return {
    ...branding,
    ...Object.fromEntries(['logo', 'logo_dark', 'templates_folder', 'texts_folder'].map(below)),
  }
}

/** Puts a section in force by a reload; what came of the pages. */
async function brand(section: Record<string, unknown>) {
  await writeFile(postern.file, stringify({ ...parse(original), branding: section }))
  const parts = await postern.reload()
  return parts.find(({ part }) => part === 'pages') ?? parts[0]
}

async function signInPage(language = 'en'): Promise<string> {
  const { body } = await createAgent(postern.url).get(`${postern.url}login`, { 'accept-language': language })
  return body
}

async function get(path: string): Promise<Response> {
  const response = await fetch(new URL(path, postern.url))
  await response.arrayBuffer()
  return response
}

const logoOf = (html: string) => unescapeHtml(/<img src="([^"]+)" alt=""/.exec(html)?.[1] ?? '')

describe('the example of the guide', () => {
  it('is what the guide shows, file by file', async () => {
    const shown = (
      await Promise.all(['yaml', 'html', 'json'].map((language) => codeBlocks('branding.md', language)))
    ).flat()
    for (const file of [
      'postern.yaml',
      'templates/layouts/narrow.njk',
      'templates/partials/help.njk',
      'texts/en.json',
      'texts/de.json',
    ])
      expect(shown, file).toContain(await readFile(join(example, file), 'utf8'))
  })

  it('is put in force by a reload: name, logo, links, template and texts', async () => {
    expect(await brand(await exampleSection())).toEqual({ part: 'pages' })
    const html = await signInPage()
    expect(html).toContain('<title>Come aboard Harbour Chat</title>')
    expect(html).toContain('<bdi>Harbour Chat</bdi>')
    expect(html).toContain('help@harbour.example')
    expect(html).toMatch(
      /<a href="https:\/\/harbour\.example\/terms" target="_blank" rel="noopener noreferrer">Terms of use</,
    )
    expect(html).toContain('media="(prefers-color-scheme: dark)" width="64" height="43"')
    expect(await signInPage('de')).toContain('Willkommen an Bord von Harbour Chat')
  })

  it('tells apps where terms and privacy policy are, in both metadata documents', async () => {
    for (const path of [
      '/.well-known/oauth-authorization-server/auth/',
      `${postern.url}.well-known/openid-configuration`,
    ]) {
      const metadata = await (await fetch(new URL(path, postern.url))).json()
      expect(metadata).toMatchObject({
        issuer: postern.url,
        op_tos_uri: 'https://harbour.example/terms',
        op_policy_uri: 'https://harbour.example/privacy',
        ui_locales_supported: ['en', 'de'],
      })
    }
  })

  it('gives older apps the name', async () => {
    const flows = await (await fetch(new URL('/_matrix/client/v3/login', postern.url))).text()
    expect(flows).toContain('"name":"Harbour Chat"')
  })

  it('changes the accent in the style sheet alone, in both schemes', async () => {
    const path = /rel="stylesheet" href="([^"]+)"/.exec(await signInPage())![1]!
    const css = await (await fetch(new URL(path, postern.url))).text()
    expect(css).toContain(
      '(prefers-color-scheme: light) { :root { --accent: #0b57d0; --on-accent: #ffffff; } }',
    )
    expect(css).toMatch(
      /\(prefers-color-scheme: dark\) \{ :root \{ --accent: #[0-9a-f]{6}; --on-accent: #11150f; \} \}/,
    )
  })
})

describe('a logo', () => {
  it('is served for good under its hash, as what it is, and so that no script in it runs', async () => {
    const response = await get(logoOf(await signInPage()))
    expect(response.status).toBe(200)
    expect(response.url).toMatch(/\/auth\/assets\/logo\.[0-9a-f]{12}\.svg$/)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/svg+xml',
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox",
    })
  })

  it('keeps its old address while pages that have it are open, and no longer', async () => {
    const before = logoOf(await signInPage())
    await writeFile(join(folder, 'logo.bin'), pngOf(64, 64))
    const section = { logo: 'logo.bin' }
    await brand(section)
    const now = await get(logoOf(await signInPage()))
    expect(now.headers.get('content-type')).toBe('image/png')
    expect((await get(before)).status).toBe(200)
    await brand({})
    expect((await get(before)).status).toBe(404)
  })

  it('of ours is served with the same care', async () => {
    await brand({})
    const response = await get(logoOf(await signInPage()))
    expect(response.headers.get('content-security-policy')).toContain('sandbox')
  })
})

describe('what is wrong is refused with its place, and the old pages stay', () => {
  it.each([
    ['a broken template', 'templates/pages/sign-in.njk', '{% if %}', /sign-in\.njk:1: unexpected token/],
    [
      'a text of a wrong name',
      'texts/en.json',
      '{"sign_in.headng": "x"}',
      /en\.json:1: sign_in\.headng: is not known/,
    ],
    [
      'a logo that is none',
      'logo.svg',
      'GIF89a',
      /postern-\d+\.yaml:\d+: branding\.logo: names .+ no picture/,
    ],
  ])('%s', async (_what, file, content, expected) => {
    await brand(await exampleSection())
    const path = join(folder, 'brand', file)
    const before = await readFile(path, 'utf8').catch(() => undefined)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
    expect(await brand(await exampleSection())).toEqual({
      part: 'pages',
      fault: expect.stringMatching(expected),
    })
    expect(await signInPage()).toContain('Come aboard Harbour Chat')
    expect(postern.logged.filter((line) => line.includes('reload.refused')).at(-1)).toMatch(
      'branding_invalid',
    )

    const check = await runCommand(['--config', postern.file, 'config', 'check'], { cwd: folder })
    expect(check).toMatchObject({ code: 1, err: expect.stringMatching(expected) })
    if (before === undefined) await rm(path)
    else await writeFile(path, before)
  })

  it('a colour that cannot be read, as part of the configuration', async () => {
    const section = { ...(await exampleSection()), accent_colour: '#ffd600' }
    expect(await brand(section)).toMatchObject({
      part: 'configuration',
      fault: expect.stringContaining('4.5 : 1'),
    })
    expect(await signInPage()).toContain('Come aboard Harbour Chat')
  })

  it('nothing, where everything is right: config check tells what there is', async () => {
    await brand(await exampleSection())
    const { code, out } = await runCommand(['--config', postern.file, 'config', 'check'], { cwd: folder })
    expect(code).toBe(0)
    expect(out).toContain('pages: Harbour Chat, in en, de, 2 templates of your own')
  })
})

it('a service does not start with a broken page, and says why', async () => {
  const broken = await createBrandingFolder()
  await broken.put('templates/pages/error.njk', '{{')
  await broken.put('postern.yaml', 'branding: {templates_folder: templates}')
  const { code, err } = await runCommand(['server'], { cwd: broken.path })
  expect(code).toBe(1)
  expect(err).toMatch(/error\.njk:1: /)
  await broken.close()
})

it('the policy of the pages is the same with templates of the operator', async () => {
  const policyOf = async () => {
    const response = await fetch(`${postern.url}login`)
    await response.text()
    return response.headers.get('content-security-policy')?.replace(/nonce-[^']+/g, 'nonce')
  }
  await brand({})
  const plain = await policyOf()
  await brand(await exampleSection())
  expect(await policyOf()).toBe(plain)
})
