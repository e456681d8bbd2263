import { isIP } from 'node:net'
import { z } from 'zod'

/**
 * The kinds of values that options have. Each carries `type` for the documentation and `write`, which completes
 * the error message "…; write <write> instead".
 */

/** Any text with at least one character. */
export const text = z.string().min(1, 'is empty').meta({ type: 'text', write: 'a text' })

/** A text that messages never repeat. */
export const secret = text.meta({ type: 'text', write: 'the secret as a text in quotes' })

/** The path of a file; a relative one starts at the configuration file's folder. */
export const path = text.meta({ type: 'path', write: 'the path of a file or folder' })

/** A switch. */
export const flag = z.boolean().meta({ type: 'true or false', write: 'true or false' })

/** A whole number between two bounds. */
export function count(minimum: number, maximum: number) {
  return z
    .int()
    .min(minimum)
    .max(maximum)
    .meta({ type: 'number', write: `a whole number from ${minimum} to ${maximum}` })
}

/** A duration in whole seconds. */
export function seconds(minimum: number, maximum: number) {
  return z
    .int()
    .min(minimum)
    .max(maximum)
    .meta({
      type: 'seconds',
      write: `a whole number of seconds from ${minimum} to ${maximum}, without a unit`,
    })
}

/** How many of something are allowed in how many seconds. */
export function limit(points: number, perSeconds: number) {
  return z
    .strictObject({
      points: count(1, 1_000_000).default(points).describe('How many are allowed.'),
      per_seconds: seconds(1, 86_400 * 30)
        .default(perSeconds)
        .describe('In how many seconds.'),
    })
    .prefault({})
    .meta({ write: `{ points: ${points}, per_seconds: ${perSeconds} }` })
}

/** An http or https address without query, fragment or user name, normalised to end with "/". */
export const baseUrl = z
  .string()
  .transform((value, ctx) => {
    const problem = baseUrlProblem(value)
    if (problem) {
      ctx.addIssue({ code: 'custom', message: problem })
      return z.NEVER
    }
    const { href } = new URL(value)
    return href.endsWith('/') ? href : `${href}/`
  })
  .meta({ type: 'address', write: 'an address such as https://auth.example.org/' })

function baseUrlProblem(value: string): string | undefined {
  const url = URL.parse(value)
  if (!url) return 'is not an address'
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'is not an http or https address'
  if (url.username !== '' || url.password !== '') return 'has a user name or password in it'
  // The raw text is looked at as well: a bare "?" or "#" leaves URL.search and URL.hash empty.
  if (value.includes('?')) return 'has a query ("?")'
  if (value.includes('#')) return 'has a fragment ("#")'
  return undefined
}

/** An absolute http or https address of a page. */
export const pageUrl = z
  .string()
  .refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''), 'is not an http or https address')
  .meta({ type: 'address', write: 'an address such as https://app.example.org/' })

/** A network in CIDR notation. */
export const network = z
  .string()
  .superRefine((value, ctx) => {
    const [address = '', bits, ...rest] = value.split('/')
    const version = isIP(address)
    const most = version === 6 ? 128 : 32
    if (version !== 0 && bits === undefined) {
      ctx.addIssue({ code: 'custom', message: `has no prefix length; write ${address}/${most} instead` })
      return
    }
    const valid = version !== 0 && /^\d{1,3}$/.test(bits ?? '') && Number(bits) <= most && rest.length === 0
    // A zone ("fe80::1%eth0") names an interface, not a network.
    if (!valid || address.includes('%')) ctx.addIssue({ code: 'custom', message: 'is not a network' })
  })
  .meta({ type: 'network', write: 'a network such as 10.0.0.0/8 or fd00::/8' })
