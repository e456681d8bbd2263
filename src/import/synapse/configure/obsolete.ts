/** A setting of homeserver.yaml that goes once Postern looks after sign-in. */
export interface Obsolete {
  path: readonly [string] | readonly [string, string | number]
  why: string
  /** Whether Synapse refuses to start with it; the others merely do nothing any more. */
  refused: boolean
}

interface Rule {
  path: readonly [string] | readonly [string, string]
  why: string
  applies?: (value: unknown) => boolean
}

/** What Python takes for true. */
const isTrue = (value: unknown) =>
  typeof value === 'object' && value !== null
    ? Array.isArray(value)
      ? value.length > 0
      : Object.keys(value).length > 0
    : Boolean(value)
const isSet = (value: unknown) => value !== null
/** Synapse's `strtobool`, which takes text as well. */
const isYes = (value: unknown) => /^(y|yes|t|true|on|1)$/i.test(String(value))
const enabled = (value: unknown, otherwise: boolean) =>
  isTrue(value) && isTrue((value as { enabled?: unknown }).enabled ?? otherwise)

/** Synapse's config/mas.py, `check_config_conflicts`: it does not start where one of these is set. */
const refused: Rule[] = [
  { path: ['password_config', 'enabled'], why: 'Passwords are checked by Postern now.' },
  { path: ['enable_registration'], applies: isYes, why: 'People sign up at Postern, not at Synapse.' },
  {
    path: ['disable_registration'],
    applies: (value) => !isYes(value),
    why: 'People sign up at Postern, not at Synapse.',
  },
  { path: ['enable_registration_captcha'], why: 'People sign up at Postern, not at Synapse.' },
  { path: ['user_consent'], applies: isSet, why: 'Synapse cannot ask for consent any more.' },
  { path: ['oidc_providers'], why: 'Upstream providers belong to Postern; see the end of postern.yaml.' },
  {
    path: ['oidc_config'],
    applies: (value) => enabled(value, false),
    why: 'Upstream providers belong to Postern; see the end of postern.yaml.',
  },
  {
    path: ['saml2_config'],
    applies: (value) => enabled(value, true),
    why: 'Synapse signs nobody in by SAML any more.',
  },
  {
    path: ['cas_config'],
    applies: (value) => enabled(value, true),
    why: 'Synapse signs nobody in by CAS any more.',
  },
  {
    path: ['jwt_config'],
    applies: (value) => enabled(value, false),
    why: 'Synapse signs nobody in by JWT any more.',
  },
  { path: ['password_providers'], why: 'Synapse checks no passwords any more.' },
  {
    path: ['ldap_config'],
    applies: (value) => enabled(value, false),
    why: 'Synapse checks no passwords any more.',
  },
  { path: ['login_via_existing_session', 'enabled'], why: 'Apps sign in other devices through Postern.' },
  {
    path: ['refresh_token_lifetime'],
    applies: isSet,
    why: 'Postern issues the tokens: sessions.idle_limit.',
  },
  { path: ['nonrefreshable_access_token_lifetime'], applies: isSet, why: 'Postern issues the tokens.' },
  { path: ['session_lifetime'], applies: isSet, why: 'Postern issues the tokens: sessions.absolute_limit.' },
  { path: ['enable_3pid_changes'], why: 'E-mail addresses belong to Postern.' },
  {
    path: ['experimental_features', 'msc3861'],
    why: 'The older form of matrix_authentication_service, which Synapse has removed.',
  },
]

const useless: Rule[] = [
  ...[
    'sso',
    'ui_auth',
    'account_threepid_delegates',
    'allow_guest_access',
    'registrations_require_3pid',
    'registration_requires_token',
    'enable_registration_without_verification',
    'enable_registration_token_3pid_bypass',
    'disable_msisdn_registration',
    'recaptcha_public_key',
    'recaptcha_public_key_path',
    'recaptcha_private_key',
    'recaptcha_private_key_path',
    'recaptcha_siteverify_api',
  ].map((key): Rule => ({ path: [key], why: 'Has no effect while Postern looks after sign-in.' })),
  {
    path: ['refreshable_access_token_lifetime'],
    applies: isSet,
    why: 'Has no effect: Postern issues the tokens, see tokens.access_token_ttl.',
  },
]

/** Modules that check passwords, or sign in by themselves. Others cannot be told apart by their names. */
const PASSWORD_MODULES =
  /^(ldap_auth_provider|rest_auth_provider|shared_secret_authenticator|synapse_token_authenticator)\b/

/** What has to go of a file's content, in the order of the file's keys. */
export function findObsolete(content: Readonly<Record<string, unknown>>): Obsolete[] {
  const found = [
    ...refused.filter((rule) => appliesTo(rule, content)).map((rule) => ({ ...rule, refused: true })),
    ...passwordModules(content.modules),
    ...useless.filter((rule) => appliesTo(rule, content)).map((rule) => ({ ...rule, refused: false })),
  ]
  const order = Object.keys(content)
  return found
    .map(({ path, why, refused }) => ({ path, why, refused }))
    .sort((a, b) => order.indexOf(a.path[0]) - order.indexOf(b.path[0]))
}

function appliesTo(
  { path: [key, inner], applies = isTrue }: Rule,
  content: Readonly<Record<string, unknown>>,
) {
  const value = content[key]
  if (inner === undefined) return value !== undefined && applies(value)
  const nested = (value as Record<string, unknown> | null | undefined)?.[inner]
  return nested !== undefined && applies(nested)
}

function passwordModules(modules: unknown): Obsolete[] {
  if (!Array.isArray(modules)) return []
  return modules.flatMap((each: unknown, index) =>
    PASSWORD_MODULES.test(String((each as { module?: unknown } | null)?.module))
      ? [{ path: ['modules', index] as const, why: 'Synapse checks no passwords any more.', refused: true }]
      : [],
  )
}
