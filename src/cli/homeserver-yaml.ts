import { findObsolete } from '../import/synapse/configure/obsolete.ts'
import { endpointOf } from '../import/synapse/endpoint.ts'
import { readHomeserverConfig } from '../import/synapse/homeserver-config.ts'

/** What a new configuration takes from a Synapse's. */
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

/**
 * Reads a `homeserver.yaml`.
 * @throws HomeserverConfigError when it cannot be read or is none
 */
export async function homeserverSettings(path: string): Promise<HomeserverSettings> {
  const { serverName, listeners, passwords, content } = await readHomeserverConfig([path])
  const { public_baseurl: baseUrl, matrix_authentication_service: section } = content
  const { secret } = (section ?? {}) as { secret?: unknown }
  return {
    serverName,
    endpoint: endpointOf(listeners) ?? (typeof baseUrl === 'string' ? baseUrl : undefined),
    secret: typeof secret === 'string' ? secret : undefined,
    pepper: passwords.pepper || undefined,
    conflicts: findObsolete(content)
      .filter(({ refused }) => refused)
      .map(({ path: option }) => option.join('.')),
  }
}
