import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'

/** The first four groups of an IPv6 address: what one customer usually gets (RFC 6177). */
function network64(address: string): string {
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  // An embedded IPv4 address at the end stands for two groups.
  const written = left.length + right.length + (right.at(-1)?.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? 0 : Math.max(8 - written, 0)
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/** What counts as one address: an IPv4 address, or the /64 of an IPv6 one, of which everyone has 2^64. */
export function addressKey(ip: string): string {
  const address = ip.replace(/%.*$/, '').toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  if (mapped !== undefined && isIPv4(mapped)) return mapped
  return isIPv6(address) ? `${network64(address)}::/64` : address
}

/**
 * The SHA-256 of a user name in lower case. Names that don't exist are counted as well (invariant 9), and a stolen
 * table should not tell what people typed into the wrong field, which is often a password.
 */
export function nameKey(name: string): string {
  return createHash('sha256').update(name.toLowerCase()).digest('base64url')
}
