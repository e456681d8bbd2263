type Content = Readonly<Record<string, unknown>>

/** Providers as Postern would write them, with what has no place there. */
export interface Upstream {
  providers: Record<string, unknown>[]
  notes: string[]
}

const JINJA_MAPPERS = [
  undefined,
  'synapse.handlers.oidc.JinjaOidcMappingProvider',
  'synapse.handlers.oidc_handler.JinjaOidcMappingProvider',
]

/** Maps `oidc_providers` and the older `oidc_config`, with every setting's default as Synapse has it. */
export function mapUpstream(content: Content): Upstream {
  const listed = Array.isArray(content.oidc_providers) ? (content.oidc_providers as unknown[]) : []
  const single = mappingOf(content.oidc_config)
  const all = [...listed.map(mappingOf), ...(single.enabled ? [single] : [])]
  const notes: string[] = []
  return { providers: all.map((each) => mapProvider(each, notes)), notes }
}

function mapProvider(given: Content, notes: string[]): Record<string, unknown> {
  const {
    enabled: _enabled,
    idp_id: id = 'oidc',
    idp_name: name = 'OIDC',
    idp_brand: brand,
    idp_icon: icon,
    issuer,
    discover = true,
    client_id,
    client_secret,
    client_secret_path,
    client_secret_jwt_key,
    client_auth_method,
    pkce_method = 'auto',
    id_token_signing_alg_values_supported,
    scopes = ['openid'],
    authorization_endpoint,
    token_endpoint,
    userinfo_endpoint,
    jwks_uri,
    skip_verification = false,
    user_profile_method = 'auto',
    redirect_uri,
    allow_existing_users = false,
    enable_registration = true,
    attribute_requirements,
    backchannel_logout_enabled = false,
    backchannel_logout_ignore_sub,
    additional_authorization_parameters,
    passthrough_authorization_parameters,
    user_mapping_provider,
    ...unknown
  } = given
  const mapping = mappingOf(user_mapping_provider)
  const hasSecret = client_secret !== undefined || client_secret_path !== undefined
  const add = (text: string) => notes.push(`${String(id)}: ${text}`)
  if (icon !== undefined) add(`idp_icon ${String(icon)} lies in Synapse's media.`)
  if (client_secret_jwt_key !== undefined)
    add('client_secret_jwt_key, from which Synapse makes the client secret.')
  if (redirect_uri) add(`redirect_uri ${String(redirect_uri)}.`)
  if (backchannel_logout_ignore_sub) add('backchannel_logout_ignore_sub.')
  if (!JINJA_MAPPERS.includes(mapping.module as string | undefined))
    add(
      `user_mapping_provider is the Python module ${String(mapping.module)}: write templates that do the same.`,
    )
  if (Object.keys(unknown).length > 0)
    add(`${Object.keys(unknown).join(', ')}, which Synapse does not know either.`)
  return present({
    // The imported links name the provider so.
    synapse_idp_id: id === 'oidc' ? 'oidc' : `oidc-${String(id)}`,
    name,
    brand,
    issuer,
    discovery: discover,
    skip_metadata_checks: skip_verification || undefined,
    client_id,
    client_secret,
    client_secret_file: client_secret_path,
    token_endpoint_auth_method: client_auth_method ?? (hasSecret ? 'client_secret_basic' : 'none'),
    pkce: pkce_method,
    id_token_signing_algs: id_token_signing_alg_values_supported,
    scopes,
    authorization_endpoint,
    token_endpoint,
    userinfo_endpoint,
    jwks_uri,
    // Synapse's "auto": it asks for the claims where no id_token has them.
    fetch_userinfo:
      user_profile_method === 'userinfo_endpoint' || !(Array.isArray(scopes) && scopes.includes('openid')),
    authorization_parameters: additional_authorization_parameters,
    passthrough_parameters: passthrough_authorization_parameters,
    link_existing_users: allow_existing_users,
    sign_up: enable_registration,
    required_claims: attribute_requirements,
    backchannel_logout: backchannel_logout_enabled,
    claims: claimsOf(mappingOf(mapping.config)),
  })
}

/** Synapse's Jinja templates, with its defaults for those that have one. */
function claimsOf(config: Content): Record<string, unknown> {
  const template = (option: string, claim: string) =>
    config[`${option}_template`] || `{{ user.${String(config[`${option}_claim`] ?? claim)} }}`
  return present({
    subject: template('subject', 'sub'),
    localpart: config.localpart_template,
    confirm_localpart: config.confirm_localpart || undefined,
    display_name: config.display_name_template,
    email: config.email_template,
    picture: template('picture', 'picture'),
    extra: config.extra_attributes,
  })
}

function mappingOf(value: unknown): Content {
  return typeof value === 'object' && value !== null ? (value as Content) : {}
}

function present(values: Content): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null),
  )
}
