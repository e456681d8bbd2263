import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** What of a request tells where it came from. */
export type AddressedRequest = Pick<IncomingMessage, 'headers'> & {
  socket: { remoteAddress?: string | undefined }
}

/**
 * Makes the function that tells a request's client address: the peer's, or, where the peer is a trusted proxy,
 * the right-most address in `X-Forwarded-For` that is not one. Whatever stands further left was written by
 * someone unknown and counts for nothing (design, invariant 10).
 * @param trustedProxies networks or addresses, such as `127.0.0.0/8` and `::1`
 * @throws TypeError where one of them is neither
 */
export function createClientAddress({ trustedProxies }: { trustedProxies: readonly string[] }) {
  const trusted = blockListOf(trustedProxies)
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  /** The address in its shortest form; an IPv4 address in IPv6 clothes as IPv4. */
  return function clientAddress(request: AddressedRequest): string {
    let address = normaliseAddress(request.socket.remoteAddress ?? '')
    // The peer has gone already, and nobody will see the answer
    if (address === undefined) return UNKNOWN
    const header = request.headers['x-forwarded-for']
    const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
    while (isTrusted(address)) {
      const next = normaliseAddress(withoutPort(hops.pop() ?? ''))
      if (next === undefined) break
      address = next
    }
    return address
  }
}

/** Stands in records for the address of a connection that was gone before it was asked. */
const UNKNOWN = 'unknown'

/** The canonical spelling of an IP address, without zone; undefined for anything else. */
export function normaliseAddress(text: string): string | undefined {
  const address = text.trim().replace(/%.*$/, '')
  const version = isIP(address)
  if (version === 0) return undefined
  if (version === 4) return address
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (!mapped) return canonical
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const match = /^\s*(?:\[([^\]]*)\]|([^:\s]*))(?::\d+)?\s*$/.exec(hop)
  return match ? (match[1] ?? match[2] ?? '') : hop
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [text = '', prefix] = network.split('/')
    const address = normaliseAddress(text)
    if (address === undefined) throw new TypeError(`${network} is neither an address nor a network`)
    const bits = isIP(address) === 6 ? 128 : 32
    // The mapped form ::ffff:10.0.0.0/104 counts its bits from the IPv6 start
    const length = prefix === undefined ? bits : Number(prefix) - (bits === 32 && text.includes(':') ? 96 : 0)
    if (!Number.isInteger(length) || length < 0 || length > bits || prefix === '') {
      throw new TypeError(`${network} is neither an address nor a network`)
    }
    list.addSubnet(address, length, bits === 128 ? 'ipv6' : 'ipv4')
  }
  return list
}
