import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/oauth/clients/clients.ts'
import { isDeviceId } from '../../src/oauth/device-id.ts'
import {
  assertAllowedFor,
  assertAllowedForClientItself,
  assertClientMayAsk,
} from '../../src/oauth/scope-policy.ts'
import { expandScope, InvalidScopeError, parseScope } from '../../src/oauth/scopes.ts'

const API = 'urn:matrix:client:api:*'
const UNSTABLE_API = 'urn:matrix:org.matrix.msc2967.client:api:*'
const DEVICE = 'urn:matrix:client:device:'
const UNSTABLE_DEVICE = 'urn:matrix:org.matrix.msc2967.client:device:'

describe('reading a scope', () => {
  test('the scope of a Matrix client names the API and a device, and is kept with both names of each', () => {
    const scope = parseScope(`openid ${UNSTABLE_API} ${UNSTABLE_DEVICE}AAABBBCCCD`)
    expect(scope).toMatchObject({ openid: true, email: false, api: true, deviceId: 'AAABBBCCCD' })
    expect(scope.requested).toBe(`openid ${UNSTABLE_API} ${UNSTABLE_DEVICE}AAABBBCCCD`)
    expect(scope.expanded.split(' ').toSorted()).toEqual(
      ['openid', API, UNSTABLE_API, `${DEVICE}AAABBBCCCD`, `${UNSTABLE_DEVICE}AAABBBCCCD`].toSorted(),
    )
  })

  test('both names of the same device are one device', () => {
    const scope = parseScope(`${API} ${DEVICE}ABCDEFGHIJ ${UNSTABLE_API} ${UNSTABLE_DEVICE}ABCDEFGHIJ`)
    expect(scope.deviceId).toBe('ABCDEFGHIJ')
  })

  test('names that general OpenID clients send by habit are left out, not refused', () => {
    expect(parseScope('openid profile email offline_access').requested).toBe('openid email')
  })

  test.each([
    ['check 18: two devices', `${API} ${DEVICE}AAAAAAAAAA ${DEVICE}BBBBBBBBBB`, 'two different devices'],
    [
      'check 18: two devices, one of each name',
      `${API} ${DEVICE}A ${UNSTABLE_DEVICE}B`,
      'two different devices',
    ],
    ['check 18: a device without the API', `openid ${DEVICE}AAAAAAAAAA`, 'must have urn:matrix:client:api:*'],
    ['check 18: an unknown name', 'openid urn:example:thing', "'urn:example:thing' is not known"],
    ['an empty device ID', `${API} ${DEVICE}`, '1 to 255'],
    ['a device ID of 256 characters', `${API} ${DEVICE}${'A'.repeat(256)}`, '1 to 255'],
    ['a device ID with a quote', `${API} ${DEVICE}A"B`, '1 to 255'],
    ['a device ID outside ASCII', `${API} ${DEVICE}ÄÖÜ`, '1 to 255'],
    ['a name in another case', 'OpenID', "'OpenID' is not known"],
    ['a tab instead of a space', 'openid\temail', "'openid?email' is not known"],
    ['thousands of names', 'a '.repeat(5000), 'too long'],
  ])('%s is refused with a message that says why', (_, scope, message) => {
    expect(() => parseScope(scope)).toThrow(InvalidScopeError)
    expect(() => parseScope(scope)).toThrow(message)
  })

  test('a device ID may have 1 to 255 characters', () => {
    expect(parseScope(`${API} ${DEVICE}A`).deviceId).toBe('A')
    expect(parseScope(`${API} ${DEVICE}${'~'.repeat(255)}`).deviceId).toHaveLength(255)
  })

  test('no text makes it throw anything but its own error, with a message that fits into an answer', () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('openid', 'email', API, UNSTABLE_API, 'urn:mas:admin', 'urn:synapse:admin:*'),
      fc.string().map((id) => DEVICE + id),
      fc.string().map((id) => UNSTABLE_DEVICE + id),
    )
    fc.assert(
      fc.property(fc.array(names, { maxLength: 8 }), (list) => {
        const text = list.join(' ')
        try {
          const scope = parseScope(text)
          expect(scope.deviceId === undefined || (scope.api && isDeviceId(scope.deviceId))).toBe(true)
          expect(parseScope(scope.expanded)).toMatchObject({ deviceId: scope.deviceId, api: scope.api })
          expect(expandScope(scope.expanded)).toBe(scope.expanded)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidScopeError)
          // RFC 6749 §5.2
          expect((error as Error).message).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/)
        }
      }),
    )
  })
})

describe('who may have a scope', () => {
  const client = (kind: 'dynamic' | 'configured', scope?: string) => ({
    kind,
    metadata: { ...(scope !== undefined && { scope }) } as ClientMetadata,
  })
  const admin = { isAdmin: true }
  const person = { isAdmin: false }

  test('check 18: an admin scope is refused to a user who is no administrator', () => {
    const scope = parseScope(`${API} urn:synapse:admin:*`)
    expect(() => assertAllowedFor(person, scope, client('configured'))).toThrow('only for administrators')
    expect(() => assertAllowedFor(admin, scope, client('configured'))).not.toThrow()
  })

  test.each(['urn:mas:admin', 'urn:synapse:admin:*'])('a dynamic client never gets %s', (name) => {
    const scope = parseScope(name)
    expect(() => assertClientMayAsk(scope, client('dynamic'))).toThrow(InvalidScopeError)
    expect(() => assertAllowedFor(admin, scope, client('dynamic'))).toThrow(InvalidScopeError)
    expect(() => assertAllowedForClientItself(scope, client('dynamic', name))).toThrow(InvalidScopeError)
  })

  test('a client by itself gets only the admin scopes that its configuration lists', () => {
    const listed = client('configured', 'urn:mas:admin')
    expect(() => assertAllowedForClientItself(parseScope('urn:mas:admin'), listed)).not.toThrow()
    expect(() => assertAllowedForClientItself(parseScope('urn:synapse:admin:*'), listed)).toThrow(
      'not allowed',
    )
    expect(() => assertAllowedForClientItself(parseScope('urn:mas:admin'), client('configured'))).toThrow()
    expect(() => assertAllowedForClientItself(parseScope(API), client('configured', API))).toThrow(
      'needs a user',
    )
  })

  test('where the configuration lists scopes, users can grant no others', () => {
    const listed = client('configured', 'openid email')
    expect(() => assertAllowedFor(person, parseScope('openid'), listed)).not.toThrow()
    expect(() => assertAllowedFor(person, parseScope(API), listed)).toThrow('not allowed for this client')
  })

  test('a listed API brings its device and its other name along', () => {
    const scope = parseScope(`${UNSTABLE_API} ${UNSTABLE_DEVICE}ABCDEFGHIJ`)
    expect(() => assertAllowedFor(person, scope, client('configured', API))).not.toThrow()
  })
})
