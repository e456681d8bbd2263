import type { PublicAddress } from '../server/public-address.ts'
import type { Views } from '../views/index.ts'
import { ASSERTION_ALGORITHMS } from './clients/client-keys.ts'

const METHODS = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']

/**
 * What our own endpoints add to the library's metadata (RFC 8414, OpenID Connect Discovery, Matrix specification
 * "OAuth 2.0 server metadata"; `account_management_*` from MSC4191). Synapse appends `?action=` to the account
 * address, so that one must not have a query.
 */
export function ownMetadata(
  address: PublicAddress,
  { registration }: { registration: boolean },
): Record<string, unknown> {
  return {
    ...(registration ? { registration_endpoint: address.url('oauth2/registration') } : {}),
    revocation_endpoint: address.url('oauth2/revoke'),
    revocation_endpoint_auth_methods_supported: METHODS,
    revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    introspection_endpoint: address.url('oauth2/introspect'),
    introspection_endpoint_auth_methods_supported: METHODS,
    introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    userinfo_endpoint: address.url('oauth2/userinfo'),
    end_session_endpoint: address.url('oauth2/logout'),
    // OpenID Connect Back-Channel Logout 1.0 §2.1: each id_token has a `sid`.
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    device_authorization_endpoint: address.url('oauth2/device'),
    prompt_values_supported: ['none', 'login', 'consent', 'select_account'],
    account_management_uri: address.url('account'),
    account_management_actions_supported: [
      'org.matrix.profile',
      'org.matrix.devices_list',
      'org.matrix.device_view',
      'org.matrix.device_delete',
      'org.matrix.cross_signing_reset',
      'org.matrix.sessions_list',
      'org.matrix.session_view',
      'org.matrix.session_end',
    ],
  }
}

/** What of the metadata is the operator's and may change without a restart: it is added to every answer anew. */
export function pageMetadata(views: Pick<Views, 'branding' | 'languages'>): Record<string, unknown> {
  const { termsUrl, privacyUrl } = views.branding()
  return {
    ui_locales_supported: views.languages(),
    ...(termsUrl && { op_tos_uri: termsUrl }),
    ...(privacyUrl && { op_policy_uri: privacyUrl }),
  }
}
