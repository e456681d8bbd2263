import { BlockList, isIP } from 'node:net'
import type { Environment } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'

/** A list of networks, as the configuration names one; the only value of its type in conditions. */
export class Network {
  readonly #list = new BlockList()

  /** @param cidrs checked networks, such as `10.0.0.0/8` */
  constructor(cidrs: readonly string[]) {
    for (const cidr of cidrs) {
      const [address = '', bits] = cidr.split('/')
      this.#list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
    }
  }

  /** Throws for what is no address: a rule that cannot be evaluated denies, where "no" could let somebody in. */
  has(ip: string): boolean {
    const version = isIP(ip)
    if (version === 0) throw new Error('cidr() was given something that is no network address')
    return this.#list.check(ip, version === 6 ? 'ipv6' : 'ipv4')
  }
}

/** A shell pattern: `*` is any number of characters, `?` is one, everything else is itself. */
function globPattern(glob: string): RE2JS {
  const parts = [...glob].map((one) => (one === '*' ? '.*' : one === '?' ? '.' : RE2JS.quote(one)))
  return RE2JS.compile(`^${parts.join('')}$`, RE2JS.DOTALL)
}

/**
 * A name as people read it, to compare it with others: compatibility forms (`ｒｏｏｔ`) as their plain letters, no
 * accents and invisible characters, lower case.
 */
export function normalized(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\p{Mn}\p{Cf}\p{Cc}]/gu, '')
    .toLowerCase()
    .normalize('NFC')
    .trim()
}

/** Remembers what was made of a text. Only texts that stand in rules come here, so that it stays small. */
function remembering<Made>(make: (text: string) => Made): (text: string) => Made {
  const made = new Map<string, Made>()
  return (text) => {
    const known = made.get(text) ?? make(text)
    made.set(text, known)
    return known
  }
}

/**
 * Adds what conditions may call beside CEL's own. Patterns run on RE2, whose time grows with the length of the text
 * only; CEL's `matches()` is JavaScript's in this library, and a pattern such as `^(a+)+$` would stop the service.
 */
export function registerFunctions(environment: Environment): void {
  const regex = remembering((pattern) => RE2JS.compile(pattern))
  const glob = remembering(globPattern)
  const network = remembering((cidr) => new Network([cidr]))
  environment
    .registerType('Network', { ctor: Network, fields: {} })
    .registerFunction('string.like(string): bool', (text: string, pattern: string) =>
      regex(pattern).test(text),
    )
    .registerFunction('string.glob(string): bool', (text: string, pattern: string) =>
      glob(pattern).test(text),
    )
    .registerFunction('string.normalized(): string', normalized)
    .registerFunction('cidr(string, Network): bool', (ip: string, networks: Network) => networks.has(ip))
    .registerFunction('cidr(string, string): bool', (ip: string, cidr: string) => network(cidr).has(ip))
    .registerFunction('cidr(string, list<string>): bool', (ip: string, cidrs: string[]) =>
      cidrs.some((cidr) => network(cidr).has(ip)),
    )
}
