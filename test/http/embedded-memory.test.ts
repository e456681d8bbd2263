import { expect, test } from 'vitest'
import { sharedBuffersMb } from '../../src/storage/embedded/memory.ts'

const GB = 1024 ** 3

test('the embedded database keeps pages in an eighth of the memory that there is, or that the container may have', () => {
  expect(sharedBuffersMb(16 * GB, 0)).toBe(2048)
  expect(sharedBuffersMb(16 * GB, 2 ** 63)).toBe(2048)
  expect(sharedBuffersMb(16 * GB, 2 * GB)).toBe(256)
  expect(sharedBuffersMb(GB / 4, 0)).toBe(64)
})
