import { type Client, clientHost, clientName } from '../oauth/clients/clients.ts'
import type { Scope } from '../oauth/scopes.ts'
import type { ClientSummary, ScopeWord } from '../views/index.ts'

/** What pages say of an app. Its logo is left out: loading it would tell its host who is signing in here. */
export function clientSummary(client: Client, locale: string, redirectUri?: string): ClientSummary {
  const { metadata } = client
  const redirect = redirectUri === undefined ? null : URL.parse(redirectUri)
  const web = redirect?.protocol === 'https:' || redirect?.protocol === 'http:'
  return {
    name: clientName(metadata, locale),
    host: clientHost(metadata),
    redirectHost: web ? redirect?.host : undefined,
    redirectScheme: redirect && !web ? redirect.protocol.slice(0, -1) : undefined,
    verified: client.kind !== 'dynamic',
    tosUri: metadata.tos_uri,
    policyUri: metadata.policy_uri,
  }
}

/** What an app may do, as words that pages have a sentence for. */
export function scopeWords(scope: Scope): ScopeWord[] {
  return [
    ...(scope.openid ? ['openid' as const] : []),
    ...(scope.email ? ['email' as const] : []),
    ...(scope.api ? ['matrix_api' as const] : []),
    ...(scope.synapseAdmin ? ['synapse_admin' as const] : []),
    ...(scope.masAdmin ? ['mas_admin' as const] : []),
  ]
}
