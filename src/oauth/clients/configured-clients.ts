import type { Knex } from 'knex'
import type { Clock } from '../../clock.ts'
import type { ClientConfig } from '../../config/sections/clients.ts'
import { hashSecret } from '../../tokens/format.ts'
import type { ClientMetadata } from './clients.ts'
import { deleteConfiguredClientsExcept, upsertConfiguredClient } from './store.ts'

/**
 * Brings the database's clients in line with the configuration, in one transaction: those in it are written,
 * those that left it are deleted. A configured client takes over any other client with its ID.
 */
export async function syncConfiguredClients(
  db: Knex,
  clients: readonly ClientConfig[],
  clock: Clock,
): Promise<void> {
  await db.transaction(async (trx) => {
    for (const client of clients) {
      await upsertConfiguredClient(trx, {
        clientId: client.client_id,
        metadata: toMetadata(client),
        secretHash: client.client_secret === undefined ? null : hashSecret(client.client_secret),
        createdAt: clock.now(),
      })
    }
    await deleteConfiguredClientsExcept(
      trx,
      clients.map((client) => client.client_id),
    )
  })
}

/** The metadata of a client that an operator describes, as it is stored. */
export function toMetadata(client: Omit<ClientConfig, 'client_id' | 'client_secret'>): ClientMetadata {
  return {
    redirect_uris: client.redirect_uris,
    grant_types: client.grant_types,
    response_types: client.grant_types.includes('authorization_code') ? ['code'] : [],
    token_endpoint_auth_method: client.auth_method,
    application_type: client.application_type,
    ...(client.client_name !== undefined && { client_name: client.client_name }),
    ...(client.client_uri !== undefined && { client_uri: client.client_uri }),
    ...(client.logo_uri !== undefined && { logo_uri: client.logo_uri }),
    ...(client.post_logout_redirect_uris.length > 0 && {
      post_logout_redirect_uris: client.post_logout_redirect_uris,
    }),
    ...(client.backchannel_logout_uri !== undefined && {
      backchannel_logout_uri: client.backchannel_logout_uri,
      backchannel_logout_session_required: client.backchannel_logout_session_required,
    }),
    ...(client.id_token_signed_response_alg !== undefined && {
      id_token_signed_response_alg: client.id_token_signed_response_alg,
    }),
    ...(client.require_pushed_authorization_requests && { require_pushed_authorization_requests: true }),
    ...(client.jwks !== undefined && { jwks: client.jwks }),
    ...(client.scope !== undefined && { scope: client.scope }),
    ...(client.skip_consent && { skip_consent: true }),
    ...(client.may_introspect && { may_introspect: true }),
  }
}
