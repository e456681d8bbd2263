import type { Values } from '../../../config/document.ts'
import type { HomeserverConfig } from '../homeserver-config.ts'

/** What of homeserver.yaml could not be carried over, to be said in that section of Postern's configuration. */
export interface Note {
  section: string
  text: string
}

/** Passwords as Synapse had them: its pepper, its shortest length, and whether it let anyone sign in with one. */
export function carryPasswords({ content, passwords }: HomeserverConfig): { values: Values; notes: Note[] } {
  const notes: string[] = []
  const config = mappingOf(content.password_config)
  const policy = mappingOf(config.policy)
  const { enabled, minimum_length, ...demands } = policy
  const length = enabled && Number.isInteger(minimum_length) ? Number(minimum_length) : undefined
  const fits = length !== undefined && length >= 1 && length <= 128
  const demanded = Object.keys(demands).filter((key) => enabled && demands[key])
  if (demanded.length > 0)
    notes.push(`password_config.policy: ${demanded.join(', ')}. Postern asks for length only.`)
  if (length !== undefined && !fits)
    notes.push(`password_config.policy.minimum_length: ${length} is beyond 1 to 128.`)
  const isOff = !passwords.enabled || config.enabled === 'only_for_reauth' || !passwords.localDatabase
  if (isOff)
    notes.push(
      'Synapse signed nobody in with the passwords of its own database, so they are off here too, and until there are upstream providers nobody can sign in. Old sessions go on. Set enabled to true if they are to count.',
    )
  for (const key of ['password_providers', 'ldap_config', 'jwt_config', 'cas_config', 'saml2_config'])
    if (isSet(content[key]))
      notes.push(
        `${key}: there is no such way to sign in here. An OpenID Connect provider in front of it (Dex, Keycloak, Authelia) can do that.`,
      )
  return {
    values: {
      enabled: isOff ? false : undefined,
      minimum_length: fits ? length : undefined,
      bcrypt_pepper: passwords.pepper || undefined,
    },
    notes: notes.map((text) => ({ section: 'passwords', text })),
  }
}

/** How long tokens lived. Set here, these would end old sessions at once, so they are only told. */
export function noteLifetimes(content: HomeserverConfig['content']): Note[] {
  const told: [key: string, section: string, text: string][] = [
    [
      'refreshable_access_token_lifetime',
      'tokens',
      'access_token_ttl is alike, and better short: apps renew it.',
    ],
    [
      'nonrefreshable_access_token_lifetime',
      'tokens',
      'access tokens of older apps that cannot renew them never expire.',
    ],
    [
      'session_lifetime',
      'sessions',
      'absolute_limit is alike. It would end older sessions, and with them people can lose their message keys.',
    ],
    [
      'refresh_token_lifetime',
      'sessions',
      'idle_limit is alike. It would end idle sessions, and with them people can lose their message keys.',
    ],
  ]
  return told
    .filter(([key]) => isSet(content[key]))
    .map(([key, section, text]) => ({ section, text: `${key}: ${String(content[key])}. Not set: ${text}` }))
}

const REGISTRATION = [
  'enable_registration',
  'disable_registration',
  'enable_registration_without_verification',
  'registration_requires_token',
  'registrations_require_3pid',
  'allowed_local_3pids',
  'enable_registration_token_3pid_bypass',
  'disable_msisdn_registration',
  'enable_registration_captcha',
  'recaptcha_public_key',
  'recaptcha_siteverify_api',
  'user_consent',
  'allow_guest_access',
  'inhibit_user_in_use_error',
]

/** What homeserver.yaml says about signing up, as it stands there. */
export function registrationOf(content: HomeserverConfig['content']): Record<string, unknown> {
  const found = REGISTRATION.filter((key) => isSet(content[key]))
  return Object.fromEntries(found.map((key) => [key, content[key]]))
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)
}

function mappingOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
