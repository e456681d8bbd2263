import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressKey, nameKey } from '../../src/limits/keys.ts'
import { cleanForAudit } from '../../src/signin/typed-name.ts'
import { parseLocalpart, parseUserIdentifier } from '../../src/users/localpart.ts'

const server = 'example.org'

describe('a new user name', () => {
  it.each(['alice', 'a', 'alice.b_c=d-e/f+g', '0x', 'a1'])('%j is accepted', (name) => {
    expect(parseLocalpart(name, server)).toBe(name)
  })

  it.each([
    ['', /at least one character/],
    ['Alice', /lower case/],
    ['älice', /leave out all others/],
    ['al ice', /leave out all others/],
    ['alice\0', /leave out all others/],
    ['@alice', /without @/],
    ['alice:example.org', /alice, not @alice:example.org/],
    ['_alice', /start with a letter/],
    ['12345', /add a letter/],
    ['a'.repeat(243), /choose a shorter name/],
  ])('%j is refused with what to write instead', (name, message) => {
    expect(() => parseLocalpart(name, server)).toThrow(message)
  })

  it('may make a user ID of 255 bytes', () => {
    expect(parseLocalpart('a'.repeat(242), server)).toHaveLength(242)
  })
})

describe('what is typed to sign in', () => {
  it.each([
    ['alice', 'alice'],
    [' alice ', 'alice'],
    ['@alice', 'alice'],
    ['@alice:example.org', 'alice'],
    ['@Alice:EXAMPLE.org', 'Alice'],
  ])('%j means %j', (typed, localpart) => {
    expect(parseUserIdentifier(typed, server)).toBe(localpart)
  })

  it.each(['', '@', '@:example.org', '@alice:other.org', 'alice:example.org', 'a\0b', 'a'.repeat(1000)])(
    '%j is nobody here',
    (typed) => expect(parseUserIdentifier(typed, server)).toBeUndefined(),
  )

  it('is read without an error, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (typed) => {
        parseUserIdentifier(typed, server)
        nameKey(typed)
        const clean = cleanForAudit(typed)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
        expect(clean).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
        expect([...clean].length).toBeLessThanOrEqual(64)
      }),
    )
  })
})

describe('what counts as one address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ])('%s counts as %s', (ip, key) => {
    expect(addressKey(ip)).toBe(key)
  })
})
