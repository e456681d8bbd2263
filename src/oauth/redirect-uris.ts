import { isIP } from 'node:net'

/** By whose rules a URI of a registration is judged (MSC2966, "Client metadata"). */
export interface UriRules {
  applicationType: 'web' | 'native'
  /** the client's `client_uri`, which all its other URIs must belong to */
  clientUri: URL
  /** an operator's leave for development: `http` and localhost for web clients too */
  allowInsecureUris: boolean
}

const MAXIMUM_LENGTH = 2048
const URI_CHARACTERS = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/
/** As registered: without a port, and spelled out, so that no other spelling of a loopback address slips in. */
const LOOPBACK_WITHOUT_PORT = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?=[/?]|$)/
const LOOPBACK_WITH_PORT = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])):([0-9]{1,5})(?=[/?]|$)/
const PRIVATE_USE = /^([a-z][a-z0-9+.-]*):(?!\/\/)/

/**
 * What is wrong with a redirect URI that someone wants to register, as the end of a sentence that starts with
 * it; undefined where nothing is.
 */
export function redirectUriProblem(uri: string, rules: UriRules): string | undefined {
  if (rules.applicationType === 'web' || uri.startsWith('https:')) return webUriProblem(uri, rules)
  const problem = spellingProblem(uri)
  if (problem) return problem
  if (uri.startsWith('http:')) {
    return LOOPBACK_WITHOUT_PORT.test(uri)
      ? undefined
      : 'must name localhost, 127.0.0.1 or [::1], without a port, where a native client uses http'
  }
  const scheme = PRIVATE_USE.exec(uri)?.[1]
  if (scheme === undefined) return 'must have a scheme and no authority (com.example.app:/callback)'
  const prefix = reverseDns(rules.clientUri.hostname)
  const owned = prefix !== undefined && (scheme === prefix || scheme.startsWith(`${prefix}.`))
  return owned ? undefined : 'must have a scheme that starts with the host of client_uri in reverse'
}

/** What is wrong with a web page's URI (`logo_uri`, `tos_uri`, …) that must be on the host of `client_uri`. */
export function webUriProblem(uri: string, rules: UriRules): string | undefined {
  const problem = publicUriProblem(uri, rules)
  if (problem) return problem
  return belongsTo(new URL(uri).hostname, rules.clientUri.hostname)
    ? undefined
    : 'must be on the host of client_uri or a subdomain of it'
}

/** What is wrong with a `client_uri`, or with any page's URI before its host is compared. */
export function publicUriProblem(
  uri: string,
  { allowInsecureUris }: Pick<UriRules, 'allowInsecureUris'>,
): string | undefined {
  const problem = spellingProblem(uri)
  if (problem) return problem
  const parsed = URL.parse(uri)
  const schemes = allowInsecureUris ? ['https:', 'http:'] : ['https:']
  // The authority must be spelled out: WHATWG parsers also take https:example.com for it
  if (!parsed || !schemes.includes(parsed.protocol) || !/^https?:\/\/[^/?#]/.test(uri)) {
    return allowInsecureUris ? 'must be an http or https URI' : 'must be an https URI'
  }
  if (/^[^/]*\/\/[^/?]*@/.test(uri)) return 'must not have a user name or password'
  if (!allowInsecureUris && isLoopback(parsed.hostname)) return 'must not be on localhost'
  return undefined
}

/**
 * Whether an authorization request may redirect there: exactly one of the registered URIs (RFC 9700 §2.1),
 * but for the port of a loopback URI that was registered without one, which may be any (RFC 8252 §7.3).
 */
export function redirectUriMatches(registered: readonly string[], requested: string): boolean {
  if (registered.includes(requested)) return true
  const port = LOOPBACK_WITH_PORT.exec(requested)?.[2]
  if (port === undefined || Number(port) > 65535) return false
  return registered.includes(requested.replace(LOOPBACK_WITH_PORT, '$1'))
}

function spellingProblem(uri: string): string | undefined {
  if (uri.length > MAXIMUM_LENGTH) return `must not be longer than ${MAXIMUM_LENGTH} characters`
  if (!URI_CHARACTERS.test(uri)) return 'must be a URI (RFC 3986): other characters are percent-encoded'
  if (uri.includes('#')) return 'must not have a fragment'
  return undefined
}

/** The same host or a subdomain of it. A host of one label (`com`) or an IP address owns no subdomains. */
function belongsTo(host: string, owner: string): boolean {
  if (host === owner) return true
  return reverseDns(owner) !== undefined && host.endsWith(`.${owner}`)
}

/** `app.example.com` → `com.example.app`; undefined where the host is an address or a single label. */
function reverseDns(host: string): string | undefined {
  if (isIP(host) || host.startsWith('[') || !/^[^.]+(?:\.[^.]+)+$/.test(host)) return undefined
  return host.split('.').reverse().join('.')
}

function isLoopback(host: string): boolean {
  return (
    host === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(host) ||
    /(?:^|\.)localhost\.?$/.test(host) ||
    host === '0.0.0.0' ||
    host === '[::]'
  )
}
