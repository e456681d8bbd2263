import { normaliseAddress } from './address.ts'

/** The specification's longest header of version 1, and the most that is read of version 2 with its extras. */
const LONGEST_V1 = 107
const LONGEST_V2 = 4096

const SIGNATURE_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2_HEAD = 16

/** What a PROXY header says: the client's address (none for a proxy's own health check), and where the header ends. */
export interface ProxyHeader {
  address: string | undefined
  length: number
}

/**
 * Reads a header of the PROXY protocol, version 1 or 2 (HAProxy, proxy-protocol.txt).
 * @returns the header, 'more' where it is not there whole yet, or 'none' where these bytes do not begin one
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | 'more' | 'none' {
  const begins = (mark: Buffer) => {
    const length = Math.min(mark.length, bytes.length)
    return bytes.subarray(0, length).equals(mark.subarray(0, length))
  }
  if (begins(SIGNATURE_V2)) return parseV2(bytes)
  if (begins(Buffer.from('PROXY '))) return parseV1(bytes)
  return 'none'
}

function parseV1(bytes: Buffer): ProxyHeader | 'more' | 'none' {
  const end = bytes.subarray(0, LONGEST_V1).indexOf('\r\n')
  if (end < 0) return bytes.length >= LONGEST_V1 ? 'none' : 'more'
  const [, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ')
  const length = end + 2
  if (family === 'UNKNOWN') return { address: undefined, length }
  if (family !== 'TCP4' && family !== 'TCP6') return 'none'
  const address = normaliseAddress(source)
  if (address === undefined || normaliseAddress(destination) === undefined) return 'none'
  if (ports.length !== 2 || !ports.every((port) => /^\d{1,5}$/.test(port))) return 'none'
  return { address, length }
}

function parseV2(bytes: Buffer): ProxyHeader | 'more' | 'none' {
  if (bytes.length < V2_HEAD) return 'more'
  const [command = 0, family = 0] = bytes.subarray(12)
  const length = V2_HEAD + bytes.readUInt16BE(14)
  if (length > LONGEST_V2) return 'none'
  if (bytes.length < length) return 'more'
  // LOCAL: the proxy itself asks.
  if (command === 0x20) return { address: undefined, length }
  if (command !== 0x21) return 'none'
  const addresses = bytes.subarray(V2_HEAD, length)
  if (family >> 4 === 1) {
    if (addresses.length < 12) return 'none'
    return { address: addresses.subarray(0, 4).join('.'), length }
  }
  if (family >> 4 === 2) {
    if (addresses.length < 36) return 'none'
    const groups = Array.from({ length: 8 }, (_, at) => addresses.readUInt16BE(at * 2).toString(16))
    return { address: normaliseAddress(groups.join(':')), length }
  }
  // Neither IPv4 nor IPv6: nothing that is known here.
  return { address: undefined, length }
}
