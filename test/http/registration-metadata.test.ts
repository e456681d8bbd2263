import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readClientMetadata } from '../../src/oauth/registration/client-metadata.ts'
import { cleanText } from '../../src/oauth/registration/client-text.ts'
import { metadataDigest } from '../../src/oauth/registration/metadata-digest.ts'
import { parseBody } from '../../src/oauth/registration/parse-body.ts'
import { RegistrationError } from '../../src/oauth/registration/registration-error.ts'

const good = {
  client_name: 'Example',
  client_uri: 'https://app.example.com/',
  redirect_uris: ['https://app.example.com/cb'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
}

const read = (fields: object, allowInsecureUris = false) =>
  readClientMetadata(parseBody(Buffer.from(JSON.stringify(fields))), { allowInsecureUris })

describe('what of a registration is kept', () => {
  test('what matrix-js-sdk sends is kept as it is', () => {
    const sent = {
      ...good,
      grant_types: [...good.grant_types, 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      application_type: 'web',
      logo_uri: 'https://static.app.example.com/logo.png',
      tos_uri: 'https://app.example.com/tos',
      policy_uri: 'https://app.example.com/privacy',
    }
    expect(read(sent)).toEqual(sent)
  })

  test('unknown grant types, response types and names are dropped, and so is client_credentials', () => {
    const kept = read({
      ...good,
      grant_types: ['authorization_code', 'client_credentials', 'password', 'urn:example:new'],
      response_types: ['code', 'id_token', 'urn:example:new'],
      scope: 'urn:mas:admin',
      skip_consent: true,
      may_introspect: true,
      jwks_uri: 'http://169.254.169.254/',
    })
    expect(kept).toEqual({
      ...good,
      grant_types: ['authorization_code'],
      response_types: ['code'],
      application_type: 'web',
    })
  })

  test('a client that only knows what is unknown here is registered with nothing', () => {
    expect(read({ ...good, grant_types: ['client_credentials'] })).toMatchObject({
      grant_types: [],
      response_types: [],
    })
  })

  test('what is left out has the defaults of RFC 7591', () => {
    const { client_uri, redirect_uris } = good
    expect(read({ client_uri, redirect_uris, client_name: null })).toEqual({
      client_uri,
      redirect_uris,
      grant_types: ['authorization_code'],
      response_types: ['code'],
      application_type: 'web',
      token_endpoint_auth_method: 'client_secret_basic',
    })
  })

  test('localised names and pages are kept', () => {
    const kept = read({
      ...good,
      'client_name#fr': 'Exemple',
      'tos_uri#de-AT': 'https://app.example.com/agb',
      'nickname#fr': 'Ex',
      'client_name#': 'no language',
    })
    expect(kept['client_name#fr']).toBe('Exemple')
    expect(kept['tos_uri#de-AT']).toBe('https://app.example.com/agb')
    expect(Object.keys(kept).filter((name) => name.includes('#'))).toHaveLength(2)
  })

  test('a device without a browser needs no redirect URI', () => {
    const { redirect_uris: _, ...rest } = good
    expect(read({ ...rest, grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] })).toMatchObject({
      response_types: [],
      redirect_uris: [],
    })
  })

  test('a digest knows the same metadata whatever its order, and tells other metadata apart', () => {
    const [a, b] = ['https://app.example.com/a', 'https://app.example.com/b']
    const one = metadataDigest(read({ ...good, redirect_uris: [a, b] }))
    const { client_name, ...rest } = good
    expect(metadataDigest(read({ ...rest, redirect_uris: [b, a], client_name }))).toEqual(one)
    expect(metadataDigest(read({ ...good, redirect_uris: [a] }))).not.toEqual(one)
  })
})

describe('what is refused', () => {
  test.each([
    ['client_uri', undefined, 'invalid_client_metadata'],
    ['client_uri', 'http://app.example.com/', 'invalid_client_metadata'],
    ['client_uri', 'https://localhost/', 'invalid_client_metadata'],
    ['client_uri', 'https://127.0.0.1/', 'invalid_client_metadata'],
    ['client_uri', 'https://user:pass@app.example.com/', 'invalid_client_metadata'],
    ['client_uri', 'https://app.example.com/#x', 'invalid_client_metadata'],
    ['client_uri', 17, 'invalid_client_metadata'],
    ['client_name', { toString: 'x' }, 'invalid_client_metadata'],
    ['client_name', 'NUL \0', 'invalid_client_metadata'],
    ['client_name', 'half a \ud83d', 'invalid_client_metadata'],
    ['logo_uri', 'https://evil.org/logo.png', 'invalid_client_metadata'],
    ['logo_uri', 'javascript:alert(1)', 'invalid_client_metadata'],
    ['tos_uri#fr', 'https://evil.org/', 'invalid_client_metadata'],
    ['client_uri#fr', 'https://evil.org/', 'invalid_client_metadata'],
    ['policy_uri', 'data:text/html,x', 'invalid_client_metadata'],
    ['redirect_uris', undefined, 'invalid_redirect_uri'],
    ['redirect_uris', [], 'invalid_redirect_uri'],
    ['redirect_uris', 'https://app.example.com/cb', 'invalid_redirect_uri'],
    ['redirect_uris', [{}], 'invalid_redirect_uri'],
    ['redirect_uris', ['https://evil.org/cb'], 'invalid_redirect_uri'],
    ['post_logout_redirect_uris', ['https://evil.org/cb'], 'invalid_redirect_uri'],
    ['grant_types', 'authorization_code', 'invalid_client_metadata'],
    ['application_type', 'desktop', 'invalid_client_metadata'],
    ['token_endpoint_auth_method', 'client_secret_jwt', 'invalid_client_metadata'],
    ['token_endpoint_auth_method', 'client_secret_jwt', 'invalid_client_metadata'],
    ['id_token_signed_response_alg', 'none', 'invalid_client_metadata'],
    ['id_token_signed_response_alg', 'HS256', 'invalid_client_metadata'],
  ])('%s: %j is refused, by its name', (field, value, code) => {
    try {
      read({ ...good, [field]: value })
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(RegistrationError)
      expect(error).toMatchObject({ code, message: expect.stringContaining(field) })
    }
  })

  test('for development, http and localhost are let in', () => {
    const local = {
      ...good,
      client_uri: 'http://localhost:3000/',
      redirect_uris: ['http://localhost:3000/cb'],
    }
    expect(read(local, true)).toMatchObject(local)
    expect(() => read(local)).toThrow(RegistrationError)
  })

  test.each(['', 'null', '[]', '"x"', '{', '{"client_uri":'])('the body %j is no registration', (body) => {
    expect(() => parseBody(Buffer.from(body))).toThrow(RegistrationError)
  })

  test('no JSON makes it throw anything but its own error, and what it keeps is clean', () => {
    const uri = fc.oneof(fc.string(), fc.constant('https://app.example.com/cb'), fc.webUrl())
    const fields = fc.record(
      {
        client_uri: uri,
        client_name: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
        redirect_uris: fc.oneof(fc.array(uri), fc.jsonValue()),
        grant_types: fc.oneof(
          fc.array(fc.constantFrom('authorization_code', 'refresh_token', 'x')),
          fc.jsonValue(),
        ),
        logo_uri: fc.oneof(uri, fc.jsonValue()),
        'client_name#fr': fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
        token_endpoint_auth_method: fc.constantFrom('none', 'client_secret_post', 'x'),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fields,
          fields.map((some) => ({ ...good, ...some })),
          fc.jsonValue(),
        ),
        (json) => {
          try {
            const kept = readClientMetadata(parseBody(Buffer.from(JSON.stringify(json))), {
              allowInsecureUris: false,
            })
            expect(kept.client_uri).toMatch(/^https:\/\//)
            expect(kept.grant_types).not.toContain('client_credentials')
            metadataDigest(kept)
          } catch (error) {
            expect(error).toBeInstanceOf(RegistrationError)
          }
        },
      ),
    )
  })
})

describe('names of apps', () => {
  test('check 53: what turns text around or breaks lines is taken out, and long names are capped', () => {
    expect(cleanText('Pay\u202elap\u2066\u0007\r\nNow')).toBe('Pay lap Now')
    expect(cleanText('a'.repeat(10_240))).toHaveLength(256)
    expect([...cleanText('😀'.repeat(10_240))]).toHaveLength(256)
    expect(cleanText('\u200e\u202e \t')).toBe('')
  })

  test('names in any script stay as they are', () => {
    for (const name of ['Élément', 'ماتریکس', '行列', 'नमस्ते', '👩‍💻 chat', '<b>{{7*7}}']) {
      expect(cleanText(name)).toBe(name)
    }
  })
})
