import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { registrationSecret, writeSigningKey } from '../synapse.ts'
import type { OldDatabase } from './old-database.ts'

export const SERVER_NAME = 'example.test'
export const AS_TOKEN = 'as-token-of-the-bridge'

/** A Synapse as the Debian package lays it out, in a folder of the test. */
export interface OldSynapse {
  /** In place of /etc/matrix-synapse. */
  etc: string
  /** In place of /var/lib/matrix-synapse. */
  data: string
  /** Where it listens; without a slash at the end. */
  url: string
  /** What its unit starts it with: homeserver.yaml and the folder of further files. */
  configPaths: string[]
}

/** Writes the configuration of a Synapse that has its own login. */
export async function layOutSynapse(
  folder: string,
  { port, publicUrl, database }: { port: number; publicUrl: string; database: OldDatabase },
): Promise<OldSynapse> {
  const etc = join(folder, 'etc/matrix-synapse')
  const data = join(folder, 'var/lib/matrix-synapse')
  await mkdir(join(etc, 'conf.d'), { recursive: true })
  await mkdir(data, { recursive: true })
  const file = join(etc, 'homeserver.yaml')
  await writeFile(file, homeserverYaml({ etc, data, port, publicUrl, section: database.section }))
  // Debian asks for these two while it installs the package.
  await writeFile(join(etc, 'conf.d/server_name.yaml'), `server_name: ${SERVER_NAME}\n`)
  await writeFile(join(etc, 'conf.d/report_stats.yaml'), 'report_stats: false\n')
  // As administrators do, so that an update of the package has nothing to ask.
  const registration = { enable_registration: true, enable_registration_without_verification: true }
  await writeFile(join(etc, 'conf.d/registration.yaml'), stringify(registration))
  await writeFile(join(etc, 'bridge.yaml'), stringify(bridge))
  await writeSigningKey(join(etc, 'homeserver.signing.key'))
  return { etc, data, url: `http://127.0.0.1:${port}`, configPaths: [file, join(etc, 'conf.d')] }
}

/** From now on new people wait until an administrator approves of them (MSC3866). */
export async function requireApproval({ etc }: OldSynapse): Promise<void> {
  const msc3866 = { enabled: true, require_approval_for_new_accounts: true }
  await writeFile(join(etc, 'conf.d/approval.yaml'), stringify({ experimental_features: { msc3866 } }))
}

const bridge = {
  id: 'bridge',
  url: null,
  as_token: AS_TOKEN,
  hs_token: 'hs-token-of-the-bridge',
  sender_localpart: 'bridgebot',
  rate_limited: false,
  namespaces: { users: [{ regex: `@bridge-.*:${SERVER_NAME}`, exclusive: true }] },
}

interface YamlFacts {
  etc: string
  data: string
  port: number
  publicUrl: string
  section: OldDatabase['section']
}

/** The order and the comments are those of Debian's file, so that an edit has something to spoil. */
function homeserverYaml({ etc, data, port, publicUrl, section }: YamlFacts): string {
  return `# Configuration file for Synapse.
#
# This is a YAML file: see [1] for a quick introduction.

pid_file: "${data}/homeserver.pid"
public_baseurl: "${publicUrl}"
listeners:
  - port: ${port}
    tls: false
    type: http
    x_forwarded: true
    bind_addresses: ['127.0.0.1']
    resources:
      - names: [client]   # no federation here
        compress: false
${stringify({ database: section }).trimEnd()}
media_store_path: "${data}/media"
signing_key_path: "${etc}/homeserver.signing.key"
trusted_key_servers: []
suppress_key_server_warning: true
macaroon_secret_key: "macaroon-secret-of-tests"
form_secret: "form-secret-of-tests"

# Sign-in and registration
registration_shared_secret: "${registrationSecret}"
allow_guest_access: true
refreshable_access_token_lifetime: 1h
refresh_token_lifetime: 90d
password_config:
  enabled: true
  pepper: "pepper of the old days!"   # never change this
cas_config:
  enabled: true
  server_url: "https://cas.example.test"

app_service_config_files:
  - "${etc}/bridge.yaml"

# Not so many brakes in a test.
rc_login:
  address: { per_second: 1000, burst_count: 1000 }
  account: { per_second: 1000, burst_count: 1000 }
rc_registration: { per_second: 1000, burst_count: 1000 }
rc_message: { per_second: 1000, burst_count: 1000 }
background_updates:
  sleep_enabled: false
`
}
