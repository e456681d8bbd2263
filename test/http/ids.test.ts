import fc from 'fast-check'
import { ulidToUUID, uuidToULID } from 'ulid'
import { expect, test } from 'vitest'
import { fromUuid, toUuid } from '../../src/ids.ts'

test('an ID in the database and outside are the same 128 bits, as the library of ULIDs has them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const uuid = Buffer.from(bytes)
        .toString('hex')
        .replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
      const id = fromUuid(uuid)
      expect(id).toBe(uuidToULID(uuid))
      expect(toUuid(id)).toBe(uuid)
      expect(toUuid(id.toLowerCase())).toBe(ulidToUUID(id).toLowerCase())
    }),
  )
})

test.each([
  '',
  'id',
  '8ZZZZZZZZZZZZZZZZZZZZZZZZZ',
  '01JD000000000000000000000U',
  '01JD00000000000000000000001',
])('%j is no ID', (text) => {
  expect(() => toUuid(text)).toThrow(TypeError)
  expect(() => fromUuid(text)).toThrow(TypeError)
})
