import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidFormError, parseForm } from '../../src/oauth/form.ts'
import { redirectUriMatches, redirectUriProblem, type UriRules } from '../../src/oauth/redirect-uris.ts'
import { webFinger } from '../../src/oauth/webfinger.ts'
import { createClientAddress } from '../../src/server/door/client-address.ts'
import { hasForbiddenBytes, isStorableText } from '../../src/server/door/forbidden-bytes.ts'
import { formActionOf } from '../../src/server/pages.ts'

describe('what is refused at the door', () => {
  test.each([
    ['a percent-encoded NUL', '/authorize?state=a%00b'],
    ['a raw NUL', '/authorize?state=a\0b'],
    ['bytes that are no UTF-8', '/authorize?state=%ff%fe'],
    ['raw bytes that are no UTF-8', '/authorize?state=\xff\xfe'],
    ['an encoded surrogate', '/authorize?state=%ED%A0%80'],
    ['an overlong encoding', '/authorize?state=%C0%80'],
    ['a character cut short', '/authorize?state=%E2%82&client_id=a'],
    ['a NUL in the path', '/oauth2/%00/token'],
  ])('check 14: %s is forbidden', (_, target) => {
    expect(hasForbiddenBytes(target)).toBe(true)
    expect(hasForbiddenBytes(Buffer.from(target, 'latin1'))).toBe(true)
  })

  test.each([
    '/authorize?state=%F0%9F%98%80',
    '/authorize?state=100%',
    '/a?b=%zz%2',
    '/link?code=ABC%20DEF',
    '',
  ])('%s is let through', (target) => expect(hasForbiddenBytes(target)).toBe(false))

  test('any text that was percent-encoded rightly is let through, but for NUL', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(hasForbiddenBytes(encodeURIComponent(text))).toBe(text.includes('\0'))
      }),
    )
  })

  test('any bytes get an answer, and the same whether they come raw or percent-encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const encoded = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
        const raw = Buffer.from(bytes.filter((byte) => byte !== 0x25))
        expect(hasForbiddenBytes(raw)).toBe(hasForbiddenBytes(encoded.replaceAll('%25', '')))
      }),
    )
  })

  test('text with a lone surrogate or a NUL cannot be stored', () => {
    expect(isStorableText('a\ud800b')).toBe(false)
    expect(isStorableText('a\0b')).toBe(false)
    expect(isStorableText('😀')).toBe(true)
  })
})

describe('forms', () => {
  test('a form is decoded, and what came twice is reported', () => {
    const form = parseForm(Buffer.from('grant_type=refresh_token&scope=a+b%20c&empty=&code=1&code=2&'))
    expect(Object.fromEntries(form.values)).toEqual({
      grant_type: 'refresh_token',
      scope: 'a b c',
      code: '1',
    })
    expect(form.duplicates).toEqual(['code'])
  })

  test.each(['a=%', 'a=%zz', 'a=%ff', 'a=%00', 'a=%ED%A0%80', '%00=a', 'a=\0'])('%s is refused', (body) => {
    expect(() => parseForm(Buffer.from(body))).toThrow(InvalidFormError)
  })

  test('bytes that are no UTF-8 and a thousand parameters are refused', () => {
    expect(() => parseForm(Buffer.from([0x61, 0x3d, 0xff]))).toThrow(InvalidFormError)
    expect(() => parseForm('a=1&'.repeat(1000))).toThrow('too many')
  })

  test('names that mean something to objects are names like others', () => {
    expect(parseForm('__proto__=1&constructor=2').values.get('__proto__')).toBe('1')
  })

  test('no bytes make it throw anything but its own error', () => {
    const body = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.constantFrom('%', '&', '=', '+', 'a', '%4', '%e2%82%ac', '\0'))
        .map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(body, (bytes) => {
        try {
          for (const value of parseForm(bytes).values.values()) expect(isStorableText(value)).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidFormError)
        }
      }),
    )
  })

  test('whatever URLSearchParams writes is read back', () => {
    const pairs = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), fc.string({ minLength: 1 })), {
      selector: ([name]) => name,
      maxLength: 20,
    })
    fc.assert(
      fc.property(pairs, (list) => {
        const form = parseForm(new URLSearchParams(list).toString())
        expect([...form.values]).toEqual(list)
      }),
    )
  })
})

describe('redirect URIs', () => {
  const rules = (applicationType: 'web' | 'native', client = 'https://app.example.com/'): UriRules => ({
    applicationType,
    clientUri: new URL(client),
    allowInsecureUris: false,
  })

  test.each([
    ['web', 'https://app.example.com/cb'],
    ['web', 'https://app.example.com:8443/cb?a=b'],
    ['web', 'https://login.app.example.com/'],
    ['native', 'com.example.app:/cb'],
    ['native', 'com.example.app:cb'],
    ['native', 'com.example.app.ios:/cb'],
    ['native', 'http://localhost/cb'],
    ['native', 'http://127.0.0.1/cb'],
    ['native', 'http://[::1]'],
    ['native', 'https://app.example.com/cb'],
  ] as const)('a %s client may register %s', (type, uri) => {
    expect(redirectUriProblem(uri, rules(type))).toBeUndefined()
  })

  test.each([
    ['web', 'http://app.example.com/cb'],
    ['web', 'https://example.com/cb'],
    ['web', 'https://app.example.com.evil.org/cb'],
    ['web', 'https://evilapp.example.com/cb'],
    ['web', 'https://user@app.example.com/cb'],
    ['web', 'https://@app.example.com/cb'],
    ['web', 'https://evil.org\\@app.example.com/cb'],
    ['web', 'https:app.example.com/cb'],
    ['web', 'https:///app.example.com/cb'],
    ['web', 'https://app.example.com/cb#fragment'],
    ['web', 'https://app.example.com/cb#'],
    ['web', 'https://app.example.com/c b'],
    ['web', 'https://app.example.com/cb\n'],
    ['web', 'https://app.example.com/%zz'],
    ['web', 'https://localhost/cb'],
    ['web', 'http://localhost/cb'],
    ['web', 'com.example.app:/cb'],
    ['web', 'data:text/html,hello'],
    ['web', 'file:///etc/passwd'],
    ['native', 'javascript:alert(1)'],
    ['native', 'data:text/html,hello'],
    ['native', 'com.example.app://cb'],
    ['native', 'com.example:/cb'],
    ['native', 'com.example.apple:/cb'],
    ['native', 'org.evil:/cb'],
    ['native', 'example:/cb'],
    ['native', 'http://localhost:8000/cb'],
    ['native', 'http://localhost.evil/cb'],
    ['native', 'http://127.0.0.1.evil.org/cb'],
    ['native', 'http://127.1/cb'],
    ['native', 'http://2130706433/cb'],
    ['native', 'http://app.example.com/cb'],
    ['native', 'http://user@localhost/cb'],
    ['native', 'https://localhost/cb'],
    ['native', 'https://evil.org/cb'],
    ['native', 'com.example.app:/cb#fragment'],
    ['native', ''],
  ] as const)('check 55: a %s client may not register %s', (type, uri) => {
    expect(redirectUriProblem(uri, rules(type))).toBeTypeOf('string')
  })

  test('a client on a top-level domain or an address owns nothing below it', () => {
    expect(redirectUriProblem('https://example.com/cb', rules('web', 'https://com/'))).toBeTypeOf('string')
    expect(redirectUriProblem('com.example:/cb', rules('native', 'https://com/'))).toBeTypeOf('string')
    expect(redirectUriProblem('https://1.192.0.2.1/cb', rules('web', 'https://192.0.2.1/'))).toBeTypeOf(
      'string',
    )
  })

  test('for development, web clients may use http and localhost, still on one host', () => {
    const insecure = { ...rules('web', 'http://localhost:3000/'), allowInsecureUris: true }
    expect(redirectUriProblem('http://localhost:3001/cb', insecure)).toBeUndefined()
    expect(redirectUriProblem('http://127.0.0.1:3001/cb', insecure)).toBeTypeOf('string')
    expect(redirectUriProblem('javascript:alert(1)', insecure)).toBeTypeOf('string')
  })

  test('check 1: a requested URI must be a registered one, letter by letter', () => {
    const registered = ['https://app.example.com/cb']
    expect(redirectUriMatches(registered, 'https://app.example.com/cb')).toBe(true)
    for (const other of [
      'https://app.example.com/cb/',
      'https://app.example.com/cb/x',
      'https://app.example.com/cb?x=y',
      'https://APP.example.com/cb',
      'https://app.example.com:443/cb',
      'https://app.example.com:8443/cb',
      'https://user@app.example.com/cb',
      'https://app.example.com/cb@evil.org',
      'https://app.example.com/cb#',
    ]) {
      expect(redirectUriMatches(registered, other)).toBe(false)
    }
  })

  test('check 3: a loopback URI registered without a port matches with any port, and nothing that looks like it', () => {
    const registered = ['http://127.0.0.1/cb', 'http://[::1]/cb', 'http://localhost/cb?a=b']
    expect(redirectUriMatches(registered, 'http://127.0.0.1:51004/cb')).toBe(true)
    expect(redirectUriMatches(registered, 'http://[::1]:1/cb')).toBe(true)
    expect(redirectUriMatches(registered, 'http://localhost:65535/cb?a=b')).toBe(true)
    for (const other of [
      'http://127.0.0.1:65536/cb',
      'http://127.0.0.1:/cb',
      'http://127.0.0.1:80@evil.org/cb',
      'http://127.0.0.1.evil:80/cb',
      'http://localhost.evil:80/cb?a=b',
      'http://localhost:80/cb',
      'https://127.0.0.1:80/cb',
      'http://127.0.0.1:80/cb#x',
    ]) {
      expect(redirectUriMatches(registered, other)).toBe(false)
    }
    expect(redirectUriMatches(['http://127.0.0.1:8000/cb'], 'http://127.0.0.1:8001/cb')).toBe(false)
  })

  test('no text makes the rules throw, and what they accept is a URL of an honest scheme', () => {
    const uris = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      fc
        .array(
          fc.constantFrom(
            'http',
            'https',
            ':',
            '//',
            'localhost',
            '@',
            '[::1]',
            'app.example.com',
            '/',
            '#',
            '.',
            '%',
          ),
        )
        .map((parts) => parts.join('')),
      fc.string().map((end) => `https://app.example.com${end}`),
    )
    fc.assert(
      fc.property(uris, fc.constantFrom('web', 'native'), fc.boolean(), (uri, type, allowInsecureUris) => {
        redirectUriMatches(['http://localhost/'], uri)
        if (redirectUriProblem(uri, { ...rules(type), allowInsecureUris }) === undefined) {
          const { protocol, hostname, hash, username } = new URL(uri)
          expect([hash, username]).toEqual(['', ''])
          if (protocol === 'https:') expect(hostname).toMatch(/(^|\.)app\.example\.com$/)
          else expect(protocol).toMatch(/^(http|com\.example\.app.*):$/)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('WebFinger', () => {
  const service = { issuer: 'https://auth.example.org/', serverName: 'example.org' }
  const rel = 'http://openid.net/specs/connect/1.0/issuer'
  const ask = (params: [string, string][]) => webFinger(new URLSearchParams(params).toString(), service)

  test.each([
    'acct:alice@example.org',
    'mailto:alice@Example.org',
    'https://example.org/alice',
    'https://auth.example.org/',
  ])('%s leads to the issuer', (resource) => {
    expect(ask([['resource', resource]])).toEqual({
      status: 200,
      body: { subject: resource, links: [{ rel, href: service.issuer }] },
    })
  })

  test('of several rel parameters one is enough; another one gives no links', () => {
    const resource: [string, string] = ['resource', 'acct:alice@example.org']
    expect(ask([resource, ['rel', 'urn:x'], ['rel', rel]]).body).toMatchObject({ links: [{ rel }] })
    expect(ask([resource, ['rel', 'urn:x']])).toMatchObject({ status: 200, body: { links: [] } })
  })

  test('another host is not found; a missing, doubled or odd resource is a bad request', () => {
    expect(ask([['resource', 'acct:alice@evil.org']]).status).toBe(404)
    expect(ask([]).status).toBe(400)
    expect(ask([['resource', 'javascript:alert(1)']]).status).toBe(400)
    expect(
      ask([
        ['resource', 'acct:a@example.org'],
        ['resource', 'acct:b@example.org'],
      ]).status,
    ).toBe(400)
    expect(webFinger('resource=%ff', service).status).toBe(400)
  })

  test('no query makes it throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (query) => {
        expect([200, 400, 404]).toContain(webFinger(query, service).status)
        expect([200, 400, 404]).toContain(
          webFinger(`resource=${encodeURIComponent(query.toWellFormed())}`, service).status,
        )
      }),
    )
  })
})

describe('the client address', () => {
  const clientAddress = createClientAddress({ trustedProxies: ['127.0.0.0/8', '::1/128', '10.1.0.0/16'] })
  const from = (remoteAddress: string, forwarded?: string) =>
    clientAddress({
      socket: { remoteAddress },
      headers: { ...(forwarded && { 'x-forwarded-for': forwarded }) },
    })

  test('check 52: X-Forwarded-For from a peer that is no trusted proxy is ignored', () => {
    expect(from('203.0.113.5', '198.51.100.1')).toBe('203.0.113.5')
  })

  test('a trusted proxy is believed, up to the first address that is none', () => {
    expect(from('127.0.0.1', '198.51.100.1')).toBe('198.51.100.1')
    expect(from('::ffff:127.0.0.1', '6.6.6.6, 198.51.100.1, 10.1.2.3')).toBe('198.51.100.1')
    expect(from('127.0.0.1', '10.1.2.3, 10.1.2.4')).toBe('10.1.2.3')
    expect(from('127.0.0.1')).toBe('127.0.0.1')
  })

  test('what a proxy could not have written ends the way back', () => {
    expect(from('127.0.0.1', '198.51.100.1, evil')).toBe('127.0.0.1')
    expect(from('127.0.0.1', '198.51.100.1,,10.1.0.9')).toBe('10.1.0.9')
  })

  test('addresses have one spelling, without port and zone', () => {
    expect(from('::ffff:203.0.113.5')).toBe('203.0.113.5')
    expect(from('2001:DB8:0:0::1')).toBe('2001:db8::1')
    expect(from('fe80::1%eth0')).toBe('fe80::1')
    expect(from('127.0.0.1', '198.51.100.1:4711')).toBe('198.51.100.1')
    expect(from('127.0.0.1', '[2001:db8::1]:4711')).toBe('2001:db8::1')
    expect(from('127.0.0.1', '2001:db8::1')).toBe('2001:db8::1')
  })

  test.each(['10.0.0.0/33', 'example.org', '10.0.0.0/', '::1/129', ''])('%s is no network', (network) => {
    expect(() => createClientAddress({ trustedProxies: [network] })).toThrow(TypeError)
  })

  test('a mapped network is the IPv4 network', () => {
    const behindMapped = createClientAddress({ trustedProxies: ['::ffff:10.0.0.0/104'] })
    expect(
      behindMapped({ socket: { remoteAddress: '10.9.9.9' }, headers: { 'x-forwarded-for': '192.0.2.1' } }),
    ).toBe('192.0.2.1')
  })

  test('no header makes it throw', () => {
    const hops = fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constant('127.0.0.1')))
    fc.assert(
      fc.property(hops, (list) => {
        expect(isIP(from('127.0.0.1', list.join(',')))).toBeGreaterThan(0)
      }),
    )
  })
})

describe('the address of an app in a Content-Security-Policy', () => {
  test.each([
    ['https://app.example/cb?x', 'https://app.example'],
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
    ['http://[::1]:8080/', 'http://[::1]:8080'],
    ['org.example.app:/cb', 'org.example.app:'],
    ['https://app.example;sandbox/', 'https:'],
    ['https://app.example,other/', 'https:'],
    ["https://a'unsafe-inline'/", 'https:'],
    ['https://*/', 'https:'],
  ])('of %s is %s, which cannot add to the policy', (uri, source) => {
    expect(formActionOf(uri)).toBe(source)
  })
})
