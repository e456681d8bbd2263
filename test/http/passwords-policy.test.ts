import { describe, expect, it } from 'vitest'
import { assertAcceptablePassword } from '../../src/users/password-policy.ts'

const rules = { localpart: 'alice', minimumLength: 8 }

describe('a new password', () => {
  it.each([
    'tulip kettle',
    `${'x'.repeat(63)}y`,
    'alice walks through the old harbour',
    '🌷🌷🌷🌷🌷🌷🌷🐝',
    `${'a'.repeat(1023)}b`,
    'with\0inside',
  ])('%j is accepted', (password) => {
    expect(() => assertAcceptablePassword(password, rules)).not.toThrow()
  })

  it.each([
    ['short7x', 'password_too_short'],
    ['🌷🌷🌷🐝', 'password_too_short'],
    [`${'a'.repeat(1024)}b`, 'password_too_long'],
    ['🌷'.repeat(300), 'password_too_long'],
    ['Password1', 'password_too_common'],
    ['ｐａｓｓｗｏｒｄ', 'password_too_common'],
    ['correcthorsebatterystaple', 'password_too_common'],
    ['eeeeeeeeeeeeee', 'password_too_common'],
    ['Alice1234', 'password_like_user_name'],
  ])('%j is refused as %s', (password, code) => {
    expect(() => assertAcceptablePassword(password, rules)).toThrow(expect.objectContaining({ code }))
  })
})
