import type { Config } from '../../config/index.ts'
import { findObsolete } from './configure/obsolete.ts'
import type { HomeserverConfig } from './homeserver-config.ts'
import type { Moved } from './move/move.ts'
import type { SynapseSource } from './source/source.ts'

export interface Finding {
  /** An error stops the import; a warning is something to know. */
  level: 'error' | 'warning'
  /** Stable, for scripts. */
  code: string
  message: string
}

const error = (code: string, message: string): Finding => ({ level: 'error', code, message })
const warning = (code: string, message: string): Finding => ({ level: 'warning', code, message })

/** What is wrong, or good to know, about both configurations. */
export function findInConfiguration(homeserver: HomeserverConfig, config: Config): Finding[] {
  const found: Finding[] = []
  const { serverName, passwords } = homeserver
  const { matrix, passwords: own, sessions } = config
  if (matrix.server_name !== serverName) {
    const fix = `write server_name: ${serverName} below matrix:`
    found.push(
      error('server_name', `matrix.server_name is ${matrix.server_name}, Synapse's is ${serverName}: ${fix}`),
    )
  }
  // Without the right pepper no password that is moved would ever be right. Neither of them is shown.
  if ((own.bcrypt_pepper ?? '') !== passwords.pepper) {
    const fix = passwords.pepper
      ? "set passwords.bcrypt_pepper to Synapse's password_config.pepper"
      : 'Synapse has none, so take passwords.bcrypt_pepper out'
    found.push(
      error('pepper', `passwords.bcrypt_pepper is not Synapse's: ${fix}, or no old password will be right`),
    )
  }
  if (!passwords.localDatabase)
    found.push(
      warning(
        'localdb',
        'Synapse leaves its own passwords unused (localdb_enabled: false): they will work here',
      ),
    )
  if (!own.enabled)
    found.push(warning('passwords', 'passwords.enabled is false: nobody can use a password here'))
  if (sessions.idle_limit !== null) {
    const why = 'sessions of apps that were not used for longer end after the switch, and their devices go'
    found.push(warning('idle_limit', `sessions.idle_limit is set: ${why}`))
  }
  if (matrix.endpoint === undefined)
    found.push(warning('endpoint', 'matrix.endpoint is not set: set it before the switch'))
  for (const { path, why, refused } of findObsolete(homeserver.content)) {
    const end = refused ? 'Synapse does not start with it beside Postern.' : 'It does nothing any more.'
    const message = `homeserver.yaml: take ${path.join('.')} out before the switch. ${why} ${end}`
    found.push(warning('homeserver_yaml', message))
  }
  return found
}

/** What the schema lacks and the rows show. */
export function findInData(source: SynapseSource, { kinds, setAside, counts }: Moved): Finding[] {
  const found: Finding[] = []
  if (source.missing.length > 0) {
    const { schemaVersion, missing } = source
    const version = schemaVersion === undefined ? '' : ` (schema ${schemaVersion})`
    found.push(
      warning('old_schema', `Synapse's schema is an older one${version}, without ${missing.join(', ')}`),
    )
  }
  if (counts.users?.read === 0) found.push(warning('empty', 'There are no users in this database'))
  if (kinds.guests > 0) {
    const what = `${kinds.guests} guests are moved as users who cannot sign in`
    found.push(warning('guests', `${what}: guest access needs Synapse's own login`))
  }
  if (kinds.shadowBanned > 0) {
    const what = `${kinds.shadowBanned} users are shadow-banned`
    found.push(
      warning('shadow_banned', `${what}: that has no effect once sign-in is delegated; lock them instead`),
    )
  }
  const rows = setAside.reduce((sum, { count }) => sum + count, 0)
  if (rows > 0) found.push(warning('set_aside', `${rows} rows are set aside: the list says which and why`))
  return found
}
