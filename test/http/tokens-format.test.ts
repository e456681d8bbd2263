import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mayBeToken, newToken, randomBase62 } from '../../src/tokens/format.ts'
import { openPair, sealPair } from '../../src/tokens/seal.ts'

test('a new token has the form that the ecosystem recognises', () => {
  expect(mayBeToken('mct_cxG6gZXyvelQWW9XqfNbm5KAQovodf_XvJz43')).toBe(true)
  for (const prefix of ['mat', 'mar', 'mct', 'mcr', 'mpt'] as const) {
    const token = newToken(prefix)
    expect(token).toMatch(new RegExp(`^${prefix}_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$`))
    expect(mayBeToken(token)).toBe(true)
  }
})

test('a token with any one character changed is refused without asking the database', () => {
  const token = newToken('mat')
  for (let at = 4; at < token.length; at++) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
    expect(mayBeToken(changed)).toBe(false)
  }
})

test('whatever a stranger sends for a token is judged and never throws', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 2000 }),
      (text) => typeof mayBeToken(text) === 'boolean',
    ),
  )
  fc.assert(fc.property(fc.string(), (text) => !mayBeToken(`mat_${text}`)))
})

test('tokens of the homeserver from before are let through to the database', () => {
  for (const token of ['syt_YWxpY2U_abcdefghijklmnopqrst_0AbCdE', 'syr_YWxpY2U_x_y', 'MDAxOGxvY2F0aW9uIA']) {
    expect(mayBeToken(token)).toBe(true)
  }
})

test('random characters are base62, each about equally often', () => {
  const counts = new Map<string, number>()
  for (const character of randomBase62(62_000)) counts.set(character, (counts.get(character) ?? 0) + 1)
  expect(counts.size).toBe(62)
  for (const count of counts.values()) expect(count).toBeGreaterThan(700)
})

test('a sealed pair opens with the token that it was sealed under, and with nothing else', () => {
  const pair = { accessToken: newToken('mat'), refreshToken: newToken('mar') }
  const presented = newToken('mar')
  const sealed = sealPair(presented, pair)
  expect(openPair(presented, sealed)).toEqual(pair)
  expect(() => openPair(newToken('mar'), sealed)).toThrow()
  const changed = Buffer.from(sealed)
  changed[20]! ^= 1
  expect(() => openPair(presented, changed)).toThrow()
  expect(sealed.includes(pair.refreshToken)).toBe(false)
})
