import { lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { normaliseAddress } from '../../server/door/address.ts'

/** What is no address of the public internet: IANA's special-purpose registry (RFC 6890), and multicast. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]
/** Of IPv6 only global unicast is public at all; these parts of it aren't, or stand for an IPv4 address (6to4, Teredo). */
const GLOBAL_IPV6 = '2000::/3'
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20']

function networks(list: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const block = new BlockList()
  for (const one of list) {
    const [address = '', bits] = one.split('/')
    block.addSubnet(address, Number(bits), family)
  }
  return block
}

const special = { ipv4: networks(SPECIAL_IPV4, 'ipv4'), ipv6: networks(SPECIAL_IPV6, 'ipv6') }
const global6 = networks([GLOBAL_IPV6], 'ipv6')

/** Whether an IP address is one of the public internet. Anything else, no address included, is not. */
export function isPublicAddress(text: string): boolean {
  // An IPv4 address in IPv6 clothes is judged as what it is.
  const address = normaliseAddress(text)
  if (address === undefined) return false
  if (isIP(address) === 4) return !special.ipv4.check(address, 'ipv4')
  return global6.check(address, 'ipv6') && !special.ipv6.check(address, 'ipv6')
}

/** The IP address that a URL names itself, without asking a name server; undefined where it names a host. */
export function literalAddress(url: URL): string | undefined {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(host) === 0 ? undefined : host
}

/** A name stands for an address where nobody outside has any business. */
export class PrivateAddressError extends Error {}

/**
 * A lookup for sockets that yields public addresses only. The check stands between the name and the connection: what
 * was checked is what is connected to, so that a name which answers differently the second time gains nothing.
 * @throws PrivateAddressError (to the callback) where any of a name's addresses is not public
 */
export function publicLookup(lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address))) {
        return callback(new PrivateAddressError('the name stands for an address that is not public'), [])
      }
      if (options.all) return callback(null, addresses)
      const [first] = addresses
      callback(null, first?.address ?? '', first?.family)
    })
  }
}
