import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { normaliseAddress } from './address.ts'
import { LOCAL, type PeerSocket, peerAddress } from './peer.ts'

/** What of a request tells where it came from. */
export type AddressedRequest = Pick<IncomingMessage, 'headers'> & {
  socket: PeerSocket
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
  // Who may open a Unix socket is decided by its file's mode: whoever does is a proxy on this machine.
  const isTrusted = (address: string) =>
    address === LOCAL || trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  /** The address in its shortest form; an IPv4 address in IPv6 clothes as IPv4. */
  return function clientAddress(request: AddressedRequest): string {
    let address = peerAddress(request.socket)
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

/** Whether a peer may say in a PROXY header who it speaks for. */
export function createPeerTrust({ trustedProxies }: { trustedProxies: readonly string[] }) {
  const trusted = blockListOf(trustedProxies)
  return (socket: PeerSocket): boolean => {
    const address = peerAddress(socket)
    if (address === undefined || address === LOCAL) return address === LOCAL
    return trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
}

/** Stands in records for the address of a connection that was gone before it was asked. */
const UNKNOWN = 'unknown'

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
