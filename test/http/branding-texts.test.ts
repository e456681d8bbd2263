import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chooseLocale, createViews } from '../../src/views/index.ts'
import { catalogue } from '../../src/views/messages.ts'
import { type BrandingFolder, createBrandingFolder } from '../support/branding.ts'

let folder: BrandingFolder

beforeAll(async () => {
  folder = await createBrandingFolder()
})
afterAll(() => folder.close())

const section = { service_name: 'Harbour', texts_folder: 'texts' }

async function put(texts: Record<string, unknown>): Promise<void> {
  await folder.remove('texts')
  for (const [name, content] of Object.entries(texts))
    await folder.put(
      `texts/${name}`,
      typeof content === 'string' ? content : JSON.stringify(content, null, 2),
    )
}

async function wrong(texts: Record<string, unknown>): Promise<string[]> {
  await put(texts)
  return folder.problems(section)
}

async function signIn(locale: string): Promise<string> {
  const views = createViews({ branding: await folder.load(section), basePath: '/' })
  return views.render('sign-in', { form: { action: '/sign-in', csrf: 'x' } }, { locale, path: '/sign-in' })
}

describe('texts of the operator', () => {
  it('stand in place of ours, one by one', async () => {
    await put({ 'en.json': { 'sign_in.heading': 'Come aboard {service}' } })
    expect(await signIn('en')).toContain('<h1>Come aboard Harbour</h1>')
    expect(await signIn('en')).toContain('Password')
    expect(await signIn('de')).toContain('Bei Harbour anmelden')
  })

  it('are escaped like all others', async () => {
    await put({
      'en.json': { 'sign_in.heading': '<img src=x onerror=alert(1)> {service}', 'password.show': '"><b>' },
    })
    const html = await signIn('en')
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt; Harbour')
    expect(html).not.toContain('<img src=x')
    expect(html).not.toContain('<b>')
  })

  it('may be a language of their own, from right to left too', async () => {
    const plural = (form: string) => (text: readonly [string, string]) =>
      text[0].endsWith('_other') ? [[text[0].replace('_other', `_${form}`), text[1]] as const] : []
    const all = Object.entries(catalogue.en)
    const arabic = [...all, ...['zero', 'two', 'few', 'many'].flatMap((form) => all.flatMap(plural(form)))]
    await put({ 'ar.json': Object.fromEntries(arabic) })
    expect(await signIn('ar')).toContain('<html lang="ar" dir="rtl">')
    const branding = await folder.load(section)
    expect(chooseLocale(undefined, 'ar-EG, en;q=0.5', Object.keys(branding.catalogue))).toBe('ar')
  })
})

describe('found when they are loaded, with file and line', () => {
  it('a key that there is not, with the one that was meant', async () => {
    expect(await wrong({ 'en.json': { 'sign_in.button': 'Go', 'sign_in.headin': 'x' } })).toEqual([
      'texts/en.json:3: sign_in.headin: is not known; did you mean sign_in.heading?',
    ])
  })

  it('a placeholder that is missing or that the text is not given', async () => {
    expect(
      await wrong({
        'de.json': {
          'sign_in.heading': 'Anmelden',
          'sign_in.client': 'für {ap}',
          'sign_in.button': 'Los, {service}',
          'busy.wait_minutes_one': 'In einer Minute.',
        },
      }),
    ).toEqual([
      'texts/de.json:2: sign_in.heading: does not say {service}; write it where it belongs',
      'texts/de.json:3: sign_in.client: names {ap}, which this text is not given; it has {app}',
      'texts/de.json:4: sign_in.button: names {service}, which this text is not given; it has none',
    ])
  })

  it('what is no text', async () => {
    expect(await wrong({ 'en.json': { 'sign_in.button': 7, 'sign_in.cancel': ' ' } })).toEqual([
      'texts/en.json:2: sign_in.button: is not a text; write it in quotes',
      'texts/en.json:3: sign_in.cancel: is empty; write a text, or leave the key out to have ours',
    ])
    expect(await wrong({ 'en.json': '{\n"sign_in.button": "Go",\n}' })).toEqual([
      expect.stringMatching(/^texts\/en\.json:3: is not JSON/),
    ])
    expect(await wrong({ 'en.json': '["Go"]' })).toEqual([
      'texts/en.json:1: is not a JSON object; write { "key": "text", … }',
    ])
    expect(await wrong({ 'en.json': '{"sign_in.button": "Go",\n"sign_in.button": "Stop"}' })).toEqual([
      expect.stringMatching(/^texts\/en\.json:\d: .*unique/i),
    ])
    expect(await wrong({ 'en.json': '{"__proto__": "x", "constructor": "y"}' })).toHaveLength(2)
  })

  it('a file that is named for no language', async () => {
    const problem = 'is not named for a language; write two or three small letters, such as fr.json'
    expect(await wrong({ 'english.json': {}, 'de.txt': 'x', 'xx.json': {} })).toEqual([
      `texts/de.txt: ${problem}`,
      `texts/english.json: ${problem}`,
      `texts/xx.json: ${problem}`,
    ])
  })

  it('a new language that lacks texts, and plural forms of its own', async () => {
    const [problem] = await wrong({ 'fr.json': { 'sign_in.button': 'Se connecter' } })
    expect(problem).toMatch(
      /^texts\/fr\.json:1: \d+ texts are missing, and a language of your own needs all: add /,
    )
    const polish = await wrong({ 'pl.json': catalogue.en })
    expect(polish[0]).toContain('_few')
  })
})
