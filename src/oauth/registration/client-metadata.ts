import { isStorableText, isStorableValue } from '../../server/door/forbidden-bytes.ts'
import { isPublicAddress, literalAddress } from '../backchannel/public-network.ts'
import { type ClientKeys, clientKeysProblem } from '../clients/client-keys.ts'
import type { ClientAuthMethod, ClientMetadata } from '../clients/clients.ts'
import { publicUriProblem, redirectUriProblem, type UriRules, webUriProblem } from '../redirect-uris.ts'
import { cleanText } from './client-text.ts'
import { RegistrationError } from './registration-error.ts'

/**
 * What a dynamic client may have. `client_credentials` is left out on purpose: anyone can register, and such a
 * client would get tokens with nobody's consent.
 */
const GRANT_TYPES = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code']
const RESPONSE_TYPES = ['code']
const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
const SIGNING_ALGORITHMS = ['RS256', 'ES256'] as const
const APPLICATION_TYPES = ['web', 'native'] as const
/** The pages that must be on the host of `client_uri`. */
const PAGES = ['logo_uri', 'tos_uri', 'policy_uri'] as const

const MAXIMUM_ARRAY = 50
/** A language tag's shape (BCP 47); `client_name#de-AT`. */
const LOCALISED =
  /^(client_name|client_uri|logo_uri|tos_uri|policy_uri)#([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4})$/

type Body = ReadonlyMap<string, unknown>

/**
 * Makes of a registration what will be registered, by RFC 7591 and the Matrix specification ("Client
 * registration"): unknown grant and response types and unknown names are dropped, what is known must be right,
 * and all URIs belong to the host of `client_uri`. Nothing is ever fetched from any of them; `backchannel_logout_uri` is
 * posted to, with the care of `createDelivery`.
 * @throws RegistrationError
 */
export function readClientMetadata(
  body: Body,
  { allowInsecureUris }: { allowInsecureUris: boolean },
): ClientMetadata {
  const clientUri = readClientUri(body, allowInsecureUris)
  const applicationType = readChoice(body, 'application_type', APPLICATION_TYPES) ?? 'web'
  const rules: UriRules = { applicationType, clientUri: new URL(clientUri), allowInsecureUris }
  const types = readTypes(body)
  const metadata: ClientMetadata = {
    ...types,
    application_type: applicationType,
    // The default of RFC 7591 §2
    token_endpoint_auth_method: readAuthMethod(body) ?? 'client_secret_basic',
    client_uri: clientUri,
    redirect_uris: readRedirectUris(body, 'redirect_uris', rules),
  }
  if (types.response_types.includes('code') && metadata.redirect_uris.length === 0) {
    throw new RegistrationError('invalid_redirect_uri', 'redirect_uris must have at least one URI')
  }
  const afterLogout = readRedirectUris(body, 'post_logout_redirect_uris', rules)
  if (afterLogout.length > 0) metadata.post_logout_redirect_uris = afterLogout
  Object.assign(metadata, readBackchannelLogout(body, rules))
  if (readFlag(body, 'require_pushed_authorization_requests')) {
    metadata.require_pushed_authorization_requests = true
  }
  const algorithm = readChoice(body, 'id_token_signed_response_alg', SIGNING_ALGORITHMS)
  if (algorithm) metadata.id_token_signed_response_alg = algorithm
  if (metadata.token_endpoint_auth_method === 'private_key_jwt') metadata.jwks = readKeys(body)
  const name = cleanText(readString(body, 'client_name') ?? '')
  if (name) metadata.client_name = name
  for (const page of PAGES) {
    const uri = readPage(body, page, rules)
    if (uri !== undefined) metadata[page] = uri
  }
  return { ...metadata, ...readLocalised(body, rules) }
}

function readClientUri(body: Body, allowInsecureUris: boolean): string {
  const uri = readString(body, 'client_uri')
  if (uri === undefined) throw new RegistrationError('invalid_client_metadata', 'client_uri is required')
  const problem = publicUriProblem(uri, { allowInsecureUris })
  if (problem) throw new RegistrationError('invalid_client_metadata', `client_uri ${problem}`)
  return uri
}

/** Grant and response types belong together (RFC 7591 §2.1): a code is of no use without its grant. */
function readTypes(body: Body): Pick<ClientMetadata, 'grant_types' | 'response_types'> {
  const asked = readStrings(body, 'grant_types') ?? ['authorization_code']
  const grantTypes = GRANT_TYPES.filter((type) => asked.includes(type))
  const responses = readStrings(body, 'response_types') ?? RESPONSE_TYPES
  const code = responses.includes('code') && grantTypes.includes('authorization_code')
  return {
    grant_types: code ? grantTypes : grantTypes.filter((type) => type !== 'authorization_code'),
    response_types: code ? ['code'] : [],
  }
}

function readAuthMethod(body: Body): ClientAuthMethod | undefined {
  return readChoice(body, 'token_endpoint_auth_method', AUTH_METHODS)
}

/** Its public keys, by value: an address of keys (`jwks_uri`) would make this service fetch what a stranger names. */
function readKeys(body: Body): ClientKeys {
  const jwks = body.get('jwks')
  if (jwks === undefined && body.has('jwks_uri')) {
    throw new RegistrationError(
      'invalid_client_metadata',
      'jwks_uri is not fetched here: send the keys as jwks',
    )
  }
  const problem = clientKeysProblem(jwks)
  if (problem) throw new RegistrationError('invalid_client_metadata', `jwks ${problem}`)
  if (!isStorableValue(jwks)) {
    throw new RegistrationError('invalid_client_metadata', 'jwks must not have NUL in it')
  }
  return jwks as ClientKeys
}

function readRedirectUris(body: Body, name: string, rules: UriRules): string[] {
  const uris = readStrings(body, name, 'invalid_redirect_uri') ?? []
  for (const [index, uri] of uris.entries()) {
    const problem = redirectUriProblem(uri, rules)
    if (problem) throw new RegistrationError('invalid_redirect_uri', `${name}[${index}] ${problem}`)
  }
  return [...new Set(uris)]
}

/** Where the app is told of ended sessions: on the host of `client_uri`, as all its addresses. */
function readBackchannelLogout(body: Body, rules: UriRules): Partial<ClientMetadata> {
  const uri = readPage(body, 'backchannel_logout_uri', rules)
  const required = readFlag(body, 'backchannel_logout_session_required')
  if (uri === undefined) return {}
  const address = literalAddress(new URL(uri))
  if (address !== undefined && !rules.allowInsecureUris && !isPublicAddress(address)) {
    throw new RegistrationError(
      'invalid_client_metadata',
      'backchannel_logout_uri must not be at a private address',
    )
  }
  return { backchannel_logout_uri: uri, backchannel_logout_session_required: required }
}

function readPage(body: Body, name: string, rules: UriRules): string | undefined {
  const uri = readString(body, name)
  const problem = uri === undefined ? undefined : webUriProblem(uri, rules)
  if (problem) throw new RegistrationError('invalid_client_metadata', `${name} ${problem}`)
  return uri
}

function readLocalised(body: Body, rules: UriRules): Record<`${string}#${string}`, string> {
  const read: Record<`${string}#${string}`, string> = {}
  for (const name of body.keys()) {
    const match = LOCALISED.exec(name)
    if (!match) continue
    const value =
      match[1] === 'client_name' ? cleanText(readString(body, name) ?? '') : readPage(body, name, rules)
    if (value) read[name as `${string}#${string}`] = value
  }
  return read
}

function readChoice<T extends string>(body: Body, name: string, choices: readonly T[]): T | undefined {
  const value = readString(body, name)
  if (value === undefined) return undefined
  const choice = choices.find((known) => known === value)
  if (choice) return choice
  throw new RegistrationError('invalid_client_metadata', `${name} must be one of ${choices.join(', ')}`)
}

function readFlag(body: Body, name: string): boolean {
  const value = body.get(name) ?? false
  if (typeof value === 'boolean') return value
  throw new RegistrationError('invalid_client_metadata', `${name} must be true or false`)
}

function readString(body: Body, name: string): string | undefined {
  const value = body.get(name)
  if (value === undefined) return undefined
  if (typeof value === 'string' && isStorableText(value)) return value
  throw new RegistrationError('invalid_client_metadata', `${name} must be a string without NUL`)
}

function readStrings(
  body: Body,
  name: string,
  code: 'invalid_client_metadata' | 'invalid_redirect_uri' = 'invalid_client_metadata',
): string[] | undefined {
  const value = body.get(name)
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string')) {
    throw new RegistrationError(code, `${name} must be an array of strings`)
  }
  if (value.length > MAXIMUM_ARRAY) {
    throw new RegistrationError(code, `${name} must not have more than ${MAXIMUM_ARRAY} entries`)
  }
  return value
}
