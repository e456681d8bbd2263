import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { PosternError } from '../errors.ts'

/** What Postern takes from a Synapse's configuration. */
export interface HomeserverSettings {
  serverName: string
  /** Where the homeserver answers, where that could be found out. */
  endpoint: string | undefined
  /** The secret of a `matrix_authentication_service` section that is there already. */
  secret: string | undefined
  pepper: string | undefined
  /** Options beside which Synapse refuses `matrix_authentication_service`. */
  conflicts: string[]
}

const listener = z.looseObject({
  port: z.number(),
  type: z.string().optional().catch(undefined),
  tls: z.boolean().optional().catch(undefined),
  bind_addresses: z.array(z.string()).optional().catch(undefined),
  bind_address: z.string().optional().catch(undefined),
  resources: z
    .array(z.looseObject({ names: z.union([z.array(z.string()), z.string().transform((name) => [name])]) }))
    .optional()
    .catch(undefined),
})
type Listener = z.output<typeof listener>

const homeserver = z.looseObject({
  server_name: z.string(),
  public_baseurl: z.string().optional().catch(undefined),
  // A listener of another shape (a socket's path, manhole) is none of ours.
  listeners: z
    .array(listener.or(z.null().catch(null)))
    .optional()
    .catch(undefined),
  password_config: z
    .looseObject({ enabled: z.unknown(), pepper: z.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
  matrix_authentication_service: z
    .looseObject({ secret: z.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
})

/**
 * Reads a `homeserver.yaml`.
 * @throws PosternError when it cannot be read or is none
 */
export async function readHomeserverYaml(path: string): Promise<HomeserverSettings> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new PosternError('homeserver_yaml', `${path}: cannot be read (${error.code})`, { cause: error })
  })
  let content: unknown
  try {
    // Synapse reads YAML 1.1, where yes and no are true and false.
    content = parse(text, { version: '1.1', logLevel: 'error' })
  } catch (error) {
    throw new PosternError('homeserver_yaml', `${path}: is not valid YAML`, { cause: error })
  }
  const parsed = homeserver.safeParse(content)
  if (!parsed.success)
    throw new PosternError(
      'homeserver_yaml',
      `${path}: has no server_name; give the homeserver.yaml of Synapse`,
    )
  const { server_name, public_baseurl, listeners, password_config, matrix_authentication_service } =
    parsed.data
  return {
    serverName: server_name,
    endpoint: endpointOf(listeners ?? []) ?? public_baseurl,
    secret: matrix_authentication_service?.secret,
    pepper: password_config?.pepper || undefined,
    conflicts: conflictsOf(parsed.data),
  }
}

/** The first plain-http listener that serves clients; the `/_synapse/mas/` routes are on every one of them. */
function endpointOf(listeners: readonly (Listener | null)[]): string | undefined {
  const found = listeners.find(
    (each) =>
      each?.type === 'http' && !each.tls && each.resources?.some(({ names }) => names.includes('client')),
  )
  if (!found) return undefined
  const addresses = found.bind_addresses ?? (found.bind_address ? [found.bind_address] : [])
  const everywhere = ['::', '0.0.0.0', '']
  const own = addresses.length === 0 || addresses.some((address) => everywhere.includes(address))
  const address = own ? 'localhost' : (addresses.find((each) => !each.includes(':')) ?? addresses[0] ?? '')
  return `http://${address.includes(':') ? `[${address}]` : address}:${found.port}/`
}

function conflictsOf(content: Record<string, unknown>): string[] {
  const at = (path: string) =>
    path
      .split('.')
      .reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], content)
  const enabled = [
    'password_config.enabled',
    'enable_registration',
    'enable_registration_captcha',
    'login_via_existing_session.enabled',
    'enable_3pid_changes',
    'saml2_config.enabled',
    'cas_config.enabled',
    'jwt_config.enabled',
  ]
  const present = [
    'user_consent',
    'oidc_providers',
    'oidc_config',
    'password_providers',
    'refresh_token_lifetime',
    'nonrefreshable_access_token_lifetime',
    'session_lifetime',
    'experimental_features.msc3861',
  ]
  return [
    ...enabled.filter((path) => at(path) === true),
    ...present.filter((path) => at(path) !== undefined && at(path) !== null),
  ]
}
