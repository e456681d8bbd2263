import { timingSafeEqual } from 'node:crypto'
import { hashSecret } from '../../tokens/format.ts'
import type { ClientKeys } from './client-keys.ts'

export type ClientKind = 'dynamic' | 'static' | 'configured'
export type ClientAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'

/** RFC 7591 metadata, as it is stored, answered and given to the OAuth library; never with the secret. */
export interface ClientMetadata {
  redirect_uris: string[]
  grant_types: string[]
  response_types: string[]
  token_endpoint_auth_method: ClientAuthMethod
  application_type: 'web' | 'native'
  client_name?: string
  client_uri?: string
  logo_uri?: string
  tos_uri?: string
  policy_uri?: string
  post_logout_redirect_uris?: string[]
  /** where the client is told that a session of its has ended (OpenID Connect Back-Channel Logout 1.0) */
  backchannel_logout_uri?: string
  /** that it needs `sid` for that; every logout token has one */
  backchannel_logout_session_required?: boolean
  /** that its authorization requests are taken only when pushed (RFC 9126 §6) */
  require_pushed_authorization_requests?: boolean
  /** public keys of a client that authenticates itself by `private_key_jwt` */
  jwks?: ClientKeys
  id_token_signed_response_alg?: 'RS256' | 'ES256'
  /** the scopes that an operator lets this client have, space separated; absent means no such limit */
  scope?: string
  /** an operator's word that this client needs no consent */
  skip_consent?: boolean
  /** an operator's word that this client may introspect every token */
  may_introspect?: boolean
  /** localised metadata (RFC 7591 §2.2), such as `client_name#fr` */
  [localised: `${string}#${string}`]: string
}

/** An OAuth client: registered by an app (dynamic), added on the command line (static) or configured. */
export interface Client {
  clientId: string
  kind: ClientKind
  authMethod: ClientAuthMethod
  metadata: ClientMetadata
  /** SHA-256 of the secret; null where the method is `none` */
  secretHash: Buffer | null
  createdAt: Date
  lastUsedAt: Date | null
}

/** Whether clients of this method have a secret of their own. */
export function hasSecret(method: ClientAuthMethod): boolean {
  return method === 'client_secret_basic' || method === 'client_secret_post'
}

/** Whether this is the client's secret, compared in constant time. False for a client without one. */
export function isClientSecret(client: Pick<Client, 'secretHash'>, secret: string): boolean {
  return client.secretHash !== null && timingSafeEqual(client.secretHash, hashSecret(secret))
}

/**
 * The name to show in a language (`de`, `de-AT`): the localised one where there is one (RFC 7591 §2.2, tags
 * compared without case), else the plain one, else the host. An app chooses its own name, so a page that asks
 * for trust must show `clientHost` beside it.
 */
export function clientName(metadata: ClientMetadata, locale?: string): string | undefined {
  return localised(metadata, 'client_name', locale) ?? metadata.client_name ?? clientHost(metadata)
}

/** The host that stands for the client: that of its `client_uri`, else of its first web redirect URI. */
export function clientHost(metadata: ClientMetadata): string | undefined {
  const uris = [metadata.client_uri ?? '', ...metadata.redirect_uris]
  for (const uri of uris) {
    const parsed = URL.parse(uri)
    if (parsed && (parsed.protocol === 'https:' || parsed.protocol === 'http:')) return parsed.host
  }
  return undefined
}

function localised(metadata: ClientMetadata, field: string, locale: string | undefined): string | undefined {
  if (!locale) return undefined
  const tags = [locale.toLowerCase(), locale.toLowerCase().split('-')[0]]
  for (const tag of tags) {
    const key = Object.keys(metadata).find((name) => name.toLowerCase() === `${field}#${tag}`)
    const value = key && metadata[key as `${string}#${string}`]
    if (value) return value
  }
  return undefined
}
