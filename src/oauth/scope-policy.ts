import type { Client } from './clients/clients.ts'
import {
  API_SCOPE,
  expandScope,
  InvalidScopeError,
  MAS_ADMIN_SCOPE,
  type Scope,
  SYNAPSE_ADMIN_SCOPE,
} from './scopes.ts'

type PolicyClient = Pick<Client, 'kind' | 'metadata'>

/**
 * Whether this client may ask for this scope at all, whoever signs in: what can be said before sign-in.
 * A dynamic client never gets an admin scope: anyone can register one, so that one click of an administrator
 * on a stranger's consent page would give the server away. An operator adds such a client to the configuration.
 * @throws InvalidScopeError
 */
export function assertClientMayAsk(scope: Scope, client: PolicyClient): void {
  if (client.kind === 'dynamic' && (scope.synapseAdmin || scope.masAdmin)) {
    throw new InvalidScopeError(
      `the scope ${adminScopes(scope).join(' ')} is only for clients that the operator has added`,
    )
  }
  assertOnAllowList(scope, client)
}

/**
 * Whether this user may grant this scope to this client: admin scopes are for administrators only.
 * @throws InvalidScopeError
 */
export function assertAllowedFor(user: { isAdmin: boolean }, scope: Scope, client: PolicyClient): void {
  assertClientMayAsk(scope, client)
  if (!user.isAdmin && (scope.synapseAdmin || scope.masAdmin)) {
    throw new InvalidScopeError(`the scope ${adminScopes(scope).join(' ')} is only for administrators`)
  }
}

/**
 * Whether a client may have this scope for itself (`client_credentials`): nobody stands behind the token, so
 * only admin scopes make sense, and only where the operator listed them for this client.
 * @throws InvalidScopeError
 */
export function assertAllowedForClientItself(scope: Scope, client: PolicyClient): void {
  if (client.kind === 'dynamic' || client.metadata.scope === undefined) {
    throw new InvalidScopeError('the operator lets this client have no scope for itself')
  }
  if (scope.openid || scope.email || scope.api) {
    throw new InvalidScopeError('the scope needs a user: a client by itself can only have admin scopes')
  }
  assertOnAllowList(scope, client)
}

/** Where the operator gave a list, each scope must stand on it; the API brings its device along. */
function assertOnAllowList(scope: Scope, client: PolicyClient): void {
  if (client.metadata.scope === undefined) return
  const allowed = new Set(expandScope(client.metadata.scope).split(' '))
  const asked = [
    ...(scope.openid ? ['openid'] : []),
    ...(scope.email ? ['email'] : []),
    ...(scope.api ? [API_SCOPE] : []),
    ...adminScopes(scope),
  ]
  const refused = asked.find((name) => !allowed.has(name))
  if (refused) throw new InvalidScopeError(`the scope ${refused} is not allowed for this client`)
}

function adminScopes(scope: Scope): string[] {
  return [...(scope.synapseAdmin ? [SYNAPSE_ADMIN_SCOPE] : []), ...(scope.masAdmin ? [MAS_ADMIN_SCOPE] : [])]
}
