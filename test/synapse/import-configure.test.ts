import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from '../support/command.ts'
import { synapsePython } from '../support/synapse-python.ts'

let folder: string
let python: string
let generated: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-configure-'))
  python = await synapsePython()
  const args = ['--generate-config', '--server-name', 'example.org', '--report-stats=no', '--config-path']
  await promisify(execFile)(python, ['-m', 'synapse.app.homeserver', ...args, 'homeserver.yaml'], {
    cwd: folder,
  })
  generated = await readFile(join(folder, 'homeserver.yaml'), 'utf8')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let runs = 0
/** Adds to the configuration that Synapse made for itself, and lets the command edit and check it. */
async function configure(more: string, edit = (text: string) => text) {
  const out = `out-${++runs}`
  await writeFile(join(folder, 'homeserver.yaml'), edit(`${generated}\n${more}`))
  const args = ['--synapse-config', 'homeserver.yaml', '--out', out, '--synapse-python', python, '--json']
  const result = await runCommand(['import', 'synapse', 'configure', ...args], { cwd: folder })
  const summary = JSON.parse(result.out || '{}') as {
    accepted_by_synapse?: boolean
    synapse_message?: string
  }
  return { ...result, ...summary, out }
}

/** Whether Synapse reads a configuration as it was before the edit, with delegation beside it. */
async function refuses(more: string): Promise<string> {
  const file = join(folder, 'unedited.yaml')
  const section =
    'matrix_authentication_service: {enabled: true, endpoint: "http://localhost:8080/", secret: x}'
  await writeFile(file, `${generated}\n${more}\n${section}\n`)
  return promisify(execFile)(python, ['-m', 'synapse.config', '-c', file], { cwd: folder }).then(
    () => '',
    (error: { stderr: string }) => error.stderr,
  )
}

const CONFLICTS = {
  'password_config.enabled': 'password_config: {enabled: true, pepper: p}',
  'passwords for reauthentication': 'password_config:\n  enabled: only_for_reauth\n  pepper: p',
  enable_registration: 'enable_registration: "yes"\nenable_registration_without_verification: true',
  disable_registration: 'disable_registration: false\nenable_registration_without_verification: true',
  captcha: 'enable_registration_captcha: true\nrecaptcha_public_key: x\nrecaptcha_private_key: y',
  consent: 'user_consent: {version: 1.0, template_dir: .}',
  oidc_providers: `
oidc_providers:
  - {idp_id: x, idp_name: X, issuer: "https://x.example/", client_id: c, client_secret: s}`,
  oidc_config: 'oidc_config: {enabled: true, issuer: "https://x.example/", client_id: c, client_secret: s}',
  cas_config: 'cas_config: {server_url: "https://cas.example/"}',
  jwt_config: 'jwt_config: {enabled: true, secret: s, algorithm: HS256}',
  'login by an existing session': 'login_via_existing_session:\n  enabled: true\n  token_timeout: 5m',
  refresh_token_lifetime: 'refresh_token_lifetime: 24h',
  nonrefreshable_access_token_lifetime: 'nonrefreshable_access_token_lifetime: 24h',
  session_lifetime: 'session_lifetime: 24h',
  enable_3pid_changes: 'enable_3pid_changes: true',
  msc3861: 'experimental_features:\n  msc3861: {enabled: false}\n  msc3266_enabled: true',
}

describe("Synapse's own configuration reader", () => {
  test('accepts the configuration that Synapse makes for itself, once it is edited', async () => {
    expect(await configure('')).toMatchObject({ code: 0, accepted_by_synapse: true })
  })

  test.each(Object.entries(CONFLICTS))(
    'refuses %s under delegation, and accepts the edited file',
    async (_, more) => {
      // Synapse's Python here lacks authlib, without which it does not come to what it thinks of OIDC and JWT.
      expect(await refuses(more)).toMatch(/OAuth delegation is enabled|msc3861 was removed|authlib/)
      expect(await configure(more)).toMatchObject({ code: 0, accepted_by_synapse: true })
    },
  )

  test('accepts everything at once, with Windows line breaks, anchors and settings without effect', async () => {
    const { refresh_token_lifetime, session_lifetime, nonrefreshable_access_token_lifetime, ...others } =
      CONFLICTS
    const first = new Set<string>()
    const all = Object.values({
      ...others,
      session_lifetime,
      refresh_token_lifetime,
      nonrefreshable_access_token_lifetime,
    })
    const unique = all.filter((text) => {
      const key = text.trim().split(':')[0]!
      if (first.has(key)) return false
      first.add(key)
      return true
    })
    const more = `${unique.join('\n')}
sso: &sso
  client_whitelist: ["https://a.example/"]
  update_profile_information: true
x_copy: *sso
ui_auth: {session_timeout: 5m}
allow_guest_access: true
account_threepid_delegates: {msisdn: "https://id.example"}
registrations_require_3pid: [email]
password_providers: []
saml2_config: {enabled: false}
`
    const edited = await configure(more, (text) => text.replaceAll('\n', '\r\n'))
    expect(edited).toMatchObject({ code: 0, accepted_by_synapse: true })
    expect(await readFile(join(folder, edited.out, 'homeserver.yaml'), 'utf8')).not.toMatch(/[^\r]\n/)
  })

  test('accepts a folder of files whose settings come from several', async () => {
    await mkdir(join(folder, 'conf.d'), { recursive: true })
    await writeFile(join(folder, 'conf.d/00-main.yaml'), `${generated}\nenable_registration: true\n`)
    await writeFile(join(folder, 'conf.d/10-more.yaml'), `${CONFLICTS.oidc_providers}\n`)
    const args = ['--synapse-config', 'conf.d', '--out', 'of-a-folder', '--synapse-python', python]
    const { code, out } = await runCommand(['import', 'synapse', 'configure', ...args], { cwd: folder })
    expect(code).toBe(0)
    expect(out).toContain('Synapse accepts the edited configuration.')
  })

  test('what it does not accept fails the command, with its words', async () => {
    const refused = await configure('auto_join_rooms: ["nonsense"]')
    expect(refused).toMatchObject({ code: 1, accepted_by_synapse: false })
    expect(refused.err).toContain('Synapse does not accept its configuration: ')
    expect(refused.err).toContain('Invalid auto_join_rooms entry nonsense')
  })
})
