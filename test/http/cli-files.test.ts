import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import { loadSecrets } from '../../src/keys/index.ts'
import { runCommand } from '../support/command.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-cli-'))
})
afterEach(() => rm(folder, { recursive: true }))

const postern = (args: string[]) => runCommand(args, { cwd: folder })
const put = (name: string, text: string) => writeFile(join(folder, name), text)

const HOMESERVER = `
server_name: "example.org"
public_baseurl: https://matrix.example.org/
listeners:
  - {port: 9000, type: manhole}
  - {port: 8448, type: http, tls: true, resources: [{names: [client, federation]}]}
  - {path: /run/synapse.sock, type: http, resources: [{names: [client]}]}
  - {port: 9001, type: http, resources: [{names: [federation]}]}
  - {port: 8008, type: http, bind_addresses: ['::1', '127.0.0.1'], resources: [{names: [client]}]}
password_config: {enabled: yes, pepper: "pepper!"}
enable_registration: true
oidc_providers: [{idp_id: x}]
`

describe('config check', () => {
  test('says that the configuration is right', async () => {
    await put('postern.yaml', 'matrix: {server_name: example.org}')
    const { code, out } = await postern(['config', 'check'])
    expect(code).toBe(0)
    expect(out).toContain('The configuration is right.')
    expect(out).toContain('server name: example.org')
  })

  test('prints every problem, a line each, and fails', async () => {
    await put('other.yaml', 'htpp: {}\nlog: {level: loud}')
    for (const args of [
      ['-c', 'other.yaml', 'config', 'check'],
      ['config', 'check', '--config', 'other.yaml'],
    ]) {
      const { code, out, err } = await postern(args)
      expect(code).toBe(1)
      expect(out).toBe('')
      expect(err.split('\n')).toHaveLength(2)
      expect(err).toContain('other.yaml:1: htpp: is not known; did you mean http?')
    }
  })
})

describe('config generate', () => {
  test('writes a file with a fresh secret that passes the check, for its owner only', async () => {
    await postern(['config', 'generate', '--public-url', 'https://a.example/x', '--output', 'a.yaml'])
    await postern(['config', 'generate', '--output', 'b.yaml'])
    const [a, b] = await Promise.all(
      ['a.yaml', 'b.yaml'].map((file) => loadConfig({ file, env: {}, cwd: folder })),
    )
    expect(a?.http.public_url).toBe('https://a.example/x/')
    expect(a?.secrets.master).toMatch(/^[0-9a-f]{64}$/)
    expect(a?.secrets.master).not.toBe(b?.secrets.master)
    expect((await stat(join(folder, 'a.yaml'))).mode & 0o777).toBe(0o600)
  })

  test('never overwrites a file', async () => {
    await put('a.yaml', 'log: {}')
    const { code, err } = await postern(['config', 'generate', '--output', 'a.yaml'])
    expect(code).toBe(1)
    expect(err).toBe(`${join(folder, 'a.yaml')}: is there already, and is not overwritten`)
    expect(await readFile(join(folder, 'a.yaml'), 'utf8')).toBe('log: {}')
  })

  test('without --output writes to standard output, and that alone', async () => {
    await put('homeserver.yaml', HOMESERVER)
    const { out, err } = await postern(['config', 'generate', '--synapse', 'homeserver.yaml'])
    expect((parse(out) as { matrix: object }).matrix).toMatchObject({ server_name: 'example.org' })
    expect(err).toContain('matrix_authentication_service:')
  })

  test('takes from homeserver.yaml what it can, and prints the section to paste with the same secret', async () => {
    await put('homeserver.yaml', HOMESERVER)
    const args = [
      '--synapse',
      'homeserver.yaml',
      '--public-url',
      'https://auth.example.org/x',
      '--output',
      'p.yaml',
    ]
    const { out } = await postern(['config', 'generate', ...args])
    const config = await loadConfig({ file: 'p.yaml', env: {}, cwd: folder })
    expect(config.matrix).toMatchObject({ server_name: 'example.org', endpoint: 'http://127.0.0.1:8008/' })
    expect(config.passwords.bcrypt_pepper).toBe('pepper!')
    const stanza = out.slice(out.indexOf('matrix_authentication_service:'), out.indexOf('Remove'))
    expect(parse(stanza)).toEqual({
      matrix_authentication_service: {
        enabled: true,
        endpoint: 'http://localhost:8080/x/',
        secret: config.matrix.secret,
      },
    })
    expect(out).toContain(
      'Remove from homeserver.yaml, or Synapse does not start: password_config.enabled, enable_registration, oidc_providers',
    )
  })

  test('writes the section to a file of its own, for its owner only, and shows no secret', async () => {
    await put('homeserver.yaml', HOMESERVER)
    const args = ['--synapse', 'homeserver.yaml', '--output', 'p.yaml', '--synapse-output', 's.yaml']
    const { out } = await postern(['config', 'generate', ...args])
    const { matrix } = await loadConfig({ file: 'p.yaml', env: {}, cwd: folder })
    expect(parse(await readFile(join(folder, 's.yaml'), 'utf8'))).toEqual({
      matrix_authentication_service: {
        enabled: true,
        endpoint: 'http://localhost:8080/',
        secret: matrix.secret,
      },
    })
    expect((await stat(join(folder, 's.yaml'))).mode & 0o777).toBe(0o600)
    expect(out).toContain(`Written: ${join(folder, 's.yaml')}`)
    expect(out).not.toContain(matrix.secret)
    expect(out).toContain('Remove from homeserver.yaml')
  })

  test('a file for the section needs the homeserver.yaml that it belongs to', async () => {
    const { code, err } = await postern(['config', 'generate', '--synapse-output', 's.yaml'])
    expect(code).toBe(1)
    expect(err).toContain('--synapse-output needs --synapse')
  })

  test('keeps a secret that homeserver.yaml has already', async () => {
    await put(
      'homeserver.yaml',
      `${HOMESERVER}matrix_authentication_service: {enabled: true, secret: "0123"}\n`,
    )
    const { out } = await postern([
      'config',
      'generate',
      '--synapse',
      'homeserver.yaml',
      '--output',
      'p.yaml',
    ])
    expect(out).toContain('secret: "0123"')
    expect((await loadConfig({ file: 'p.yaml', env: {}, cwd: folder })).matrix.secret).toBe('0123')
  })

  test.each([
    ['is not valid YAML', 'a: ['],
    ['has no server_name', 'listeners: []'],
    ['has no server_name', '- a'],
  ])('a homeserver.yaml that %s is an error', async (expected, text) => {
    await put('homeserver.yaml', text)
    const { code, err } = await postern(['config', 'generate', '--synapse', 'homeserver.yaml'])
    expect(code).toBe(1)
    expect(err).toContain(`${join(folder, 'homeserver.yaml')}: ${expected}`)
  })

  test('a public address that is none is an error', async () => {
    const { code, err } = await postern(['config', 'generate', '--public-url', 'auth.example.org'])
    expect(code).toBe(1)
    expect(err).toContain('--public-url is not an address')
  })
})

describe('keys list', () => {
  test('shows the keys that sign and those that are only published, with their stages', async () => {
    expect((await postern(['keys', 'list'])).err).toContain('There are no signing keys yet')
    const config = await loadConfig({ env: {}, cwd: folder })
    const { signingKeys } = await loadSecrets(config, { now: () => new Date('2026-03-04') })
    const rsa = await readFile(join(config.secrets.keys_folder, '2026-03-04-rs256.pem'))
    await writeFile(join(config.secrets.keys_folder, '2027.pem'), rsa)
    const { code, out } = await postern(['keys', 'list'])
    expect(code).toBe(0)
    const [es256, rs256] = signingKeys.map(({ kid }) => kid)
    expect(out.split('\n')).toEqual([
      `${es256} ES256 2026-03-04-es256.pem signing`,
      `${rs256} RS256 2026-03-04-rs256.pem signing`,
      `${rs256} RS256 2027.pem retired`,
    ])
    expect(JSON.parse((await postern(['keys', 'list', '--json'])).out)).toHaveLength(3)
    expect(out + (await postern(['keys', 'list', '--json'])).out).not.toContain('"d"')
  })

  test('a damaged key is one line on standard error', async () => {
    const config = await loadConfig({ env: {}, cwd: folder })
    await loadSecrets(config, { now: () => new Date('2026-03-04') })
    await writeFile(join(config.secrets.keys_folder, 'a.pem'), 'damaged')
    const { code, err } = await postern(['keys', 'list'])
    expect(code).toBe(1)
    expect(err).toContain(`${join(config.secrets.keys_folder, 'a.pem')}: is not an unencrypted private key`)
    expect(err).not.toContain('\n')
  })
})

test('an unknown command or option fails and suggests the right one', async () => {
  const { code, err } = await postern(['confg'])
  expect(code).toBe(1)
  expect(err).toContain('Did you mean config?')
  expect((await postern(['config', 'check', '--jsn'])).code).toBe(1)
})

test('help and version succeed', async () => {
  expect((await postern(['--help'])).code).toBe(0)
  expect((await postern(['--version'])).out).toMatch(/^\d+\.\d+\.\d+/)
})
