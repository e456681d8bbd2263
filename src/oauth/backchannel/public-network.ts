import type { LookupAddress } from 'node:dns'
import { Resolver } from 'node:dns/promises'
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

/** A name leads to an address that is not public, such as one of the own network. */
export class PrivateAddressError extends Error {}

/** The addresses of a host's name. Throws where there are none. */
export type Resolve = (hostname: string) => Promise<string[]>

/**
 * Asks the name servers directly. The system's own lookup would also read the local hosts file and search domains,
 * and it takes a thread of those that hash passwords for as long as a stranger's name server keeps it waiting.
 */
export function createResolve(): Resolve {
  const resolver = new Resolver({ timeout: 1000, tries: 2 })
  return async (hostname) => {
    const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (addresses.length === 0 && answers[0].status === 'rejected') throw answers[0].reason
    return addresses
  }
}

/**
 * A lookup for sockets that yields public addresses only. The check stands between the name and the connection: what
 * was checked is what is connected to, so that a name which answers differently the second time gains nothing.
 * The callback gets a PrivateAddressError where any of a name's addresses is not public.
 */
export function publicLookup(resolve: Resolve): LookupFunction {
  async function check(hostname: string): Promise<LookupAddress[]> {
    const addresses = await resolve(hostname)
    if (addresses.length === 0 || !addresses.every(isPublicAddress)) {
      throw new PrivateAddressError('the name stands for an address that is not public')
    }
    return addresses.map((address) => ({ address, family: isIP(address) }))
  }

  return (hostname, { all }, callback) => {
    check(hostname).then(
      (addresses) =>
        all ? callback(null, addresses) : callback(null, addresses[0]?.address ?? '', addresses[0]?.family),
      (error) => callback(error, ''),
    )
  }
}
