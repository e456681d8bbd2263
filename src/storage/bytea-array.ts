const BYTEA_OID = 17
const HEADER_BYTES = 20

/**
 * Byte strings as the parameter of a `bytea[]`, in PostgreSQL's binary form (array_recv: dimensions, nulls, element
 * type, length, lower bound, then each element behind its length). node-postgres would write each in hexadecimal with
 * its backslashes escaped, which costs the hot paths more than the query.
 * @param elements each as bytes or in hexadecimal
 */
export function byteaArray(elements: readonly (Buffer | string)[]): Buffer {
  let size = HEADER_BYTES
  for (const element of elements) size += 4 + lengthOf(element)
  const array = Buffer.allocUnsafe(size)
  array.writeInt32BE(1, 0)
  array.writeInt32BE(0, 4)
  array.writeInt32BE(BYTEA_OID, 8)
  array.writeInt32BE(elements.length, 12)
  array.writeInt32BE(1, 16)
  let offset = HEADER_BYTES
  for (const element of elements) {
    offset = array.writeInt32BE(lengthOf(element), offset)
    offset += typeof element === 'string' ? array.write(element, offset, 'hex') : element.copy(array, offset)
  }
  return array
}

function lengthOf(element: Buffer | string): number {
  return typeof element === 'string' ? element.length / 2 : element.length
}
