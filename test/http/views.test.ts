import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAssets } from '../../src/views/assets.ts'
import { chooseLocale, createViews, type PageData, plainBranding } from '../../src/views/index.ts'
import { sampleNow } from '../../src/views/page-samples.ts'
import { createTimeWords } from '../../src/views/time.ts'
import { cleanText, initials, isWebAddress } from '../../src/views/untrusted-text.ts'

const views = createViews({
  branding: plainBranding('example.org'),
  basePath: '/auth/',
  clock: { now: () => sampleNow },
})
const options = { locale: 'en', path: '/auth/sign-in' } as const
const form = { action: '/auth/sign-in', csrf: 'token' }

const consent: PageData['consent'] = {
  form,
  client: { name: 'Element', host: 'element.io', redirectHost: 'app.element.io', verified: false },
  user: { mxid: '@alice:example.org' },
  scopes: ['matrix_api'],
}

describe('rendering', () => {
  it('check 53: escapes and cleans what an app says of itself', () => {
    const name = '<script>alert(1)</script>\u202egro.live {{7*7}}'
    const html = views.render('consent', { ...consent, client: { ...consent.client, name } }, options)
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;gro.live {{7*7}}')
    expect(html).not.toContain('\u202e')
  })

  it('check 53: shows a name of 10 KB as a short one', () => {
    const name = 'long '.repeat(2000)
    const html = views.render('consent', { ...consent, client: { ...consent.client, name } }, options)
    expect(html.length).toBeLessThan(8000)
  })

  it('check 17: consent names the host, the redirect, the device and what the app may do', () => {
    const html = views.render('consent', { ...consent, device: { id: 'QWERTYUIOP' } }, options)
    for (const words of ['element.io', 'app.element.io', 'QWERTYUIOP', 'Read and send your messages']) {
      expect(html).toContain(words)
    }
  })

  it('never lets an unverified name stand alone where there is one line only', () => {
    const page = views.render('sign-in', { form, client: consent.client }, options)
    expect(page).toContain('to continue to element.io')
    const trusted = { ...consent.client, verified: true }
    expect(views.render('sign-in', { form, client: trusted }, options)).toContain('to continue to Element')
  })

  it('keeps what was typed, and never a password', () => {
    const data = {
      form,
      username: 'alice',
      password: 'hunter2',
      errors: { form: 'error.wrong_credentials' },
    } as const
    const html = views.render('sign-in', data, options)
    expect(html).toContain('value="alice"')
    expect(html).not.toContain('hunter2')
    expect(html).toContain('<title>Error: Sign in to example.org</title>')
  })

  it('throws rather than show half a page', () => {
    expect(() => views.render('sign-in', {} as PageData['sign-in'], options)).toThrow()
  })

  it('links below the path of the public address', () => {
    const html = views.render('reauthenticate', { form, user: { mxid: '@a:b' } }, options)
    expect(html).toContain('href="/auth/account"')
    expect(html).toMatch(/href="\/auth\/assets\/style\.[0-9a-f]{12}\.css"/)
  })

  it('puts the nonce of the policy on the script and the style sheet', () => {
    const html = views.render('signed-out', {}, { ...options, cspNonce: 'bm9uY2U' })
    expect(html.match(/ nonce="bm9uY2U"/g)).toHaveLength(2)
  })

  it('never fails on a name, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const html = views.render('consent', { ...consent, client: { ...consent.client, name } }, options)
        expect(html).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/u)
      }),
      { numRuns: 50 },
    )
  })
})

describe('untrusted text', () => {
  it('loses what deceives the eye', () => {
    expect(cleanText('\u202eabc\u0000\u200b\ufeff\u2066d\u{e0041}')).toBe('abcd')
    expect(cleanText('  two\r\n lines\u2028 ')).toBe('two lines')
  })

  it('keeps emoji and scripts that need joiners', () => {
    expect(cleanText('👩‍🚀 نامه‌ای')).toBe('👩‍🚀 نامه‌ای')
  })

  it('has initials', () => {
    expect(initials('Element Web')).toBe('EW')
    expect(initials('@älice')).toBe('Ä')
    expect(initials('…')).toBe('?')
  })

  it('is a link only where it is a web address', () => {
    expect(isWebAddress('https://example.org/x')).toBe(true)
    for (const address of ['javascript:alert(1)', ' javascript:1', 'data:text/html,x', '//x', '', null]) {
      expect(isWebAddress(address)).toBe(false)
    }
  })
})

describe('the language of a page', () => {
  it.each([
    [undefined, undefined, 'en'],
    ['de', 'en', 'de'],
    ['fr-FR de-AT en', undefined, 'de'],
    ['fr', 'de-CH,de;q=0.9,en;q=0.8', 'de'],
    [undefined, 'en;q=0.3, de;q=0.7', 'de'],
    [undefined, 'de;q=0, *', 'en'],
    ['__proto__ constructor', 'toString', 'en'],
  ])('from ui_locales %j and the browser %j is %s', (uiLocales, header, expected) => {
    expect(chooseLocale(uiLocales, header, ['en', 'de'])).toBe(expected)
  })

  it('comes out of any header', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) =>
        ['en', 'de'].includes(chooseLocale(a, b, ['en', 'de'])),
      ),
    )
  })
})

describe('a time', () => {
  const time = createTimeWords('en', () => sampleNow)
  const before = (seconds: number) => time.words(new Date(sampleNow.getTime() - seconds * 1000))

  it('is in words while it is near, and a date beyond a week', () => {
    expect([before(5), before(90), before(7200), before(86_400), before(86_400 * 20)]).toEqual([
      'now',
      '1 minute ago',
      '2 hours ago',
      'yesterday',
      '20 February 2026',
    ])
  })

  it('says that it is UTC where it is exact', () => {
    expect(time.exact(sampleNow)).toBe('12 March 2026 at 14:03 UTC')
    expect(createTimeWords('de', () => sampleNow).exact(sampleNow)).toBe('12. März 2026 um 14:03 UTC')
  })
})

describe('assets', () => {
  const assets = createAssets({ basePath: '/auth/', branding: plainBranding('example.org') })

  it('are served for good below the path of the service, under a name that changes with them', () => {
    const asset = assets.serve(assets.url('style'))
    expect(asset?.type).toBe('text/css; charset=utf-8')
    expect(asset?.headers['Cache-Control']).toBe('public, max-age=31536000, immutable')
  })

  it('are nothing but what there is', () => {
    for (const path of [
      '/auth/assets/style.css',
      '/auth/assets/../tokens.css',
      '/auth/assets/',
      '__proto__',
    ]) {
      expect(assets.serve(path)).toBeUndefined()
    }
  })

  it('are small: the style sheet under 20 KB and the script under 10 KB', () => {
    expect(gzipSync(assets.serve(assets.url('style'))!.body).length).toBeLessThan(20_000)
    expect(assets.serve(assets.url('script'))!.body.length).toBeLessThan(10_000)
  })
})
