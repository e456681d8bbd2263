import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { recordAudit } from '../audit/store.ts'
import { systemClock } from '../clock.ts'
import { explainIssue } from '../config/problems.ts'
import { type ClientConfig, clientSchema } from '../config/sections/clients.ts'
import { PosternError } from '../errors.ts'
import { addStaticClient } from '../oauth/clients/static-clients.ts'
import type { Context } from './context.ts'
import { withDatabase } from './database.ts'
import { OPERATOR } from './users.ts'

interface Options {
  clientId?: string
  name: string
  clientUri?: string
  logoUri?: string
  authMethod: string
  jwksFile?: string
  redirectUri?: string[]
  postLogoutRedirectUri?: string[]
  backchannelLogoutUri?: string
  backchannelLogoutSessionRequired?: boolean
  grantType?: string[]
  requirePushedAuthorizationRequests?: boolean
  scope?: string
  applicationType?: string
  skipConsent?: boolean
  mayIntrospect?: boolean
  json?: boolean
}

export function addClientAdd(parent: Command, { terminal, config }: Context): void {
  parent
    .command('add')
    .description('add a client that stays in the database, and print its secret once')
    .requiredOption('--name <name>', 'the name that people see')
    .option('--redirect-uri <uri...>', 'where people may be sent back to')
    .option('--post-logout-redirect-uri <uri...>', 'the same after signing out')
    .option(
      '--auth-method <method>',
      'none, client_secret_basic, client_secret_post or private_key_jwt',
      'client_secret_basic',
    )
    .option('--grant-type <type...>', 'what it may use (default: authorization_code, refresh_token)')
    .option('--scope <scopes>', 'the only scopes that it may ask for, separated by spaces')
    .option('--application-type <type>', 'web or native')
    .option('--client-uri <uri>', 'the page of the app')
    .option('--logo-uri <uri>', 'the picture of the app')
    .option('--jwks-file <file>', 'its public keys as a JWK Set, for private_key_jwt')
    .option('--backchannel-logout-uri <uri>', 'where it is told that a session of its has ended')
    .option('--backchannel-logout-session-required', 'it needs sid for that')
    .option('--require-pushed-authorization-requests', 'its authorization requests must be pushed first')
    .option('--skip-consent', 'people are not asked for consent')
    .option('--may-introspect', "it may introspect everyone's tokens")
    .option('--client-id <id>', 'an ID of your choice instead of a made one')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      const client = parseClient(options, await readKeys(options.jwksFile))
      const { clientId, secret } = await withDatabase(await config(), ({ knex }) =>
        knex.transaction(async (trx) => {
          const now = systemClock.now()
          const added = await addStaticClient(trx, { ...client, client_id: options.clientId }, now)
          const details = { client_name: options.name }
          await recordAudit(trx, now, {
            event: 'client.added',
            ...OPERATOR,
            clientId: added.clientId,
            details,
          })
          return added
        }),
      )
      if (options.json)
        terminal.print(JSON.stringify({ client_id: clientId, client_secret: secret }, null, 2))
      else {
        terminal.print(`client_id: ${clientId}`)
        if (secret !== undefined) terminal.print(`client_secret: ${secret}`)
      }
    })
}

/** Throws `client_invalid` where the file cannot be read. */
async function readKeys(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new PosternError('client_invalid', `--jwks-file ${file}: cannot be read (${error.code})`)
  })
}

/** The same checks as those of the configuration. Throws `client_invalid`. */
function parseClient(options: Options, jwks: string | undefined): ClientConfig {
  const written = {
    client_id: options.clientId ?? 'made-later',
    client_name: options.name,
    client_uri: options.clientUri,
    logo_uri: options.logoUri,
    // The real secret is made with the client.
    client_secret: options.authMethod.startsWith('client_secret_') ? 'made-with-the-client' : undefined,
    jwks,
    auth_method: options.authMethod,
    redirect_uris: options.redirectUri,
    post_logout_redirect_uris: options.postLogoutRedirectUri,
    backchannel_logout_uri: options.backchannelLogoutUri,
    backchannel_logout_session_required: options.backchannelLogoutSessionRequired,
    grant_types: options.grantType,
    require_pushed_authorization_requests: options.requirePushedAuthorizationRequests,
    scope: options.scope,
    application_type: options.applicationType,
    skip_consent: options.skipConsent,
    may_introspect: options.mayIntrospect,
  }
  const parsed = clientSchema.safeParse(written, { reportInput: true })
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new PosternError('client_invalid', `${optionOf(issue.path)} ${explainIssue(issue, clientSchema)}`)
}

/** `redirect_uris` → `--redirect-uri`. */
function optionOf([key]: readonly PropertyKey[]): string {
  if (key === 'client_name') return '--name'
  return `--${String(key).replace(/s$/, '').replaceAll('_', '-')}`
}
