import { z } from 'zod'
import { type ClientKeys, clientKeysProblem } from '../../oauth/clients/client-keys.ts'
import { flag, pageUrl, path, secret, text } from '../kinds.ts'

const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
const GRANT_TYPES = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
] as const
const ALGORITHMS = ['RS256', 'ES256'] as const

/** The shortest client secret that is accepted: 16 characters, since guesses at it are not slowed down much. */
const CLIENT_SECRET_MINIMUM = 16

/** An absolute URI without fragment (RFC 6749 §3.1.2) and not of a scheme that runs in the browser's page. */
const redirectUri = z
  .string()
  .superRefine((value, ctx) => {
    const url = URL.parse(value)
    if (!url) ctx.addIssue({ code: 'custom', message: 'is not an absolute address' })
    else if (value.includes('#')) ctx.addIssue({ code: 'custom', message: 'has a fragment ("#")' })
    else if (/^(javascript|data|vbscript|file|blob|about):$/.test(url.protocol))
      ctx.addIssue({ code: 'custom', message: `has the scheme ${url.protocol}, which is not safe` })
  })
  .meta({ write: 'an absolute address such as https://app.example.org/callback' })

const redirectUris = z
  .array(redirectUri)
  .meta({ type: 'list of addresses', write: 'a list such as [https://app.example.org/callback]' })
  .default([])

/** An address that this service calls itself: without fragment (Back-Channel Logout 1.0 §2.2). */
const logoutUri = z
  .string()
  .superRefine((value, ctx) => {
    const protocol = URL.parse(value)?.protocol ?? ''
    if (!/^https?:$/.test(protocol))
      ctx.addIssue({ code: 'custom', message: 'is not an http or https address' })
    else if (value.includes('#')) ctx.addIssue({ code: 'custom', message: 'has a fragment ("#")' })
  })
  .meta({ type: 'address', write: 'an address such as https://app.example.org/backchannel-logout' })

function isPlainAndElsewhere(uri: string | undefined): boolean {
  const { protocol, hostname } = URL.parse(uri ?? '') ?? {}
  return protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname ?? '')
}

/** A JWK Set, as YAML or, from a file, as JSON. */
const publicKeys = z
  .unknown()
  .transform((value, ctx): ClientKeys => {
    const parsed = typeof value === 'string' ? parseJson(value) : value
    const problem = clientKeysProblem(parsed)
    if (problem) ctx.addIssue({ code: 'custom', message: problem })
    return parsed as ClientKeys
  })
  .meta({ type: 'JWK Set', write: 'a mapping with a list of public keys' })

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** One client. */
export const clientSchema = z
  .strictObject({
    // RFC 6749 appendix A.1: printable ASCII.
    client_id: text
      .regex(/^[\x21-\x7e]{1,255}$/, 'is not 1 to 255 printable ASCII characters')
      .describe('The name by which the app identifies itself.'),
    client_name: text.optional().describe('The name that people see.'),
    client_uri: pageUrl.optional().describe('The page of the app.'),
    logo_uri: pageUrl.optional().describe('The picture of the app.'),
    client_secret: secret.optional().describe('Its secret, at least 16 characters.'),
    client_secret_file: path.optional().describe('A file that holds the secret.'),
    jwks: publicKeys
      .optional()
      .describe('Its public keys (a JWK Set), where its `auth_method` is `private_key_jwt`.'),
    jwks_file: path.optional().describe('A file that holds them.'),
    auth_method: z
      .enum(AUTH_METHODS)
      .meta({ type: AUTH_METHODS.join(', '), write: `one of ${AUTH_METHODS.join(', ')}` })
      .describe('How the app proves who it is; `none` for apps that cannot keep a secret.'),
    redirect_uris: redirectUris.describe('Where people may be sent back to, compared letter by letter.'),
    post_logout_redirect_uris: redirectUris.describe('The same after signing out.'),
    backchannel_logout_uri: logoutUri
      .optional()
      .describe(
        'Where the app is told that a session of its has ended (OpenID Connect Back-Channel Logout).',
      ),
    backchannel_logout_session_required: flag
      .default(false)
      .describe('Whether it needs `sid` for that. Logout tokens always have it.'),
    grant_types: z
      .array(z.enum(GRANT_TYPES).meta({ write: `one of ${GRANT_TYPES.join(', ')}` }))
      .min(1, 'is empty')
      .meta({ type: 'list', write: 'a list such as [authorization_code, refresh_token]' })
      .default(['authorization_code', 'refresh_token'])
      .describe(`What the app may use, of ${GRANT_TYPES.map((type) => `\`${type}\``).join(', ')}.`),
    require_pushed_authorization_requests: flag
      .default(false)
      .describe('Whether its authorization requests must be pushed first (RFC 9126).'),
    scope: text
      // RFC 6749 §3.3: scope tokens separated by single spaces.
      .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, 'is not a list of scopes')
      .meta({ write: 'scopes with a space between them, such as "openid email"' })
      .optional()
      .describe('The only scopes that the app may ask for, separated by spaces.'),
    skip_consent: flag.default(false).describe('Whether people are not asked for consent.'),
    may_introspect: flag.default(false).describe("Whether it may introspect everyone's tokens."),
    application_type: z
      .enum(['web', 'native'])
      .meta({ type: 'web, native', write: 'web or native' })
      .default('web')
      .describe('`native` apps may use schemes of their own and loopback addresses with any port.'),
    id_token_signed_response_alg: z
      .enum(ALGORITHMS)
      .meta({ type: 'RS256, ES256', write: 'RS256 or ES256' })
      .optional()
      .meta({ description: 'The algorithm of its ID tokens.', defaultText: '`RS256`' }),
  })
  .superRefine((value, ctx) => {
    const add = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message })
    // `client_secret_file` has become `client_secret` by the time of this check.
    const hasSecret = value.client_secret !== undefined
    if (value.auth_method === 'none') {
      if (hasSecret) add('auth_method', 'is none, but there is a secret; write client_secret_basic instead')
      if (value.grant_types.includes('client_credentials'))
        add(
          'grant_types',
          'has client_credentials, which needs a secret; write an auth_method other than none',
        )
      if (value.may_introspect)
        add('may_introspect', 'needs a secret; write an auth_method other than none and a client_secret')
    } else if (value.auth_method === 'private_key_jwt') {
      if (!value.jwks)
        add('jwks', 'is missing; write its public keys, or the file that holds them as jwks_file')
      if (hasSecret) add('client_secret', 'is not used with private_key_jwt; leave it out')
    } else if ((value.client_secret?.length ?? 0) < CLIENT_SECRET_MINIMUM) {
      add(
        'client_secret',
        `is ${hasSecret ? 'too short' : 'missing'}; write at least ${CLIENT_SECRET_MINIMUM} characters, such as the output of: openssl rand -hex 32`,
      )
    }
    // Back-Channel Logout 1.0 §2.2: http is for confidential clients only, and what stays on this machine.
    if (value.auth_method === 'none' && isPlainAndElsewhere(value.backchannel_logout_uri))
      add('backchannel_logout_uri', 'is not https; write an https address, or an auth_method other than none')
    if (value.grant_types.includes('authorization_code') && value.redirect_uris.length === 0)
      add('redirect_uris', 'is empty; write where the app receives the code, or leave authorization_code out')
    if (value.application_type === 'web') {
      const odd = value.redirect_uris.findIndex((uri) => !/^https?:/i.test(uri))
      if (odd >= 0)
        ctx.addIssue({
          code: 'custom',
          path: ['redirect_uris', odd],
          message: 'is no web address; write an https address, or application_type: native',
        })
    }
  })

/** Apps that the operator names here instead of letting them register themselves. */
export const clientsSection = z
  .array(clientSchema)
  .superRefine((clients, ctx) => {
    const seen = new Set<string>()
    for (const [index, { client_id }] of clients.entries()) {
      if (seen.has(client_id))
        ctx.addIssue({
          code: 'custom',
          path: [index, 'client_id'],
          message: 'is there twice; write another one',
        })
      seen.add(client_id)
    }
  })
  .default([])
  .meta({
    type: 'list of clients',
    write: 'a list of clients, each starting with "- client_id:"',
    description: 'Apps that you name yourself. Apps that register themselves need no entry.',
  })

export type ClientConfig = Omit<z.output<typeof clientSchema>, 'client_secret_file' | 'jwks_file'>
