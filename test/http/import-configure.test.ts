import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import { runCommand } from '../support/command.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-configure-'))
})
afterEach(() => rm(folder, { recursive: true }))

const put = (name: string, text: string) => writeFile(join(folder, name), text)
const read = (name: string) => readFile(join(folder, name), 'utf8')
const configure = (...args: string[]) =>
  runCommand(
    ['import', 'synapse', 'configure', '--synapse-config', 'homeserver.yaml', '--out', 'new', ...args],
    { cwd: folder },
  )
const loadNew = () => loadConfig({ file: 'new/postern.yaml', env: {}, cwd: folder })
/** What stands in the comments of the written configuration, without their marks and line breaks. */
const comments = async () =>
  (await read('new/postern.yaml'))
    .match(/^ *#.*$/gm)!
    .map((line) => line.replace(/^ *# ?/, ''))
    .join(' ')

const HOMESERVER = `
server_name: example.org
public_baseurl: https://matrix.example.org/
listeners:
  - {port: 9001, type: http, resources: [{names: [replication]}]}
  - {port: 8008, type: http, bind_addresses: ['::1', '127.0.0.1'], resources: [{names: [client, federation]}]}
`

describe('import synapse configure', () => {
  test('writes both configurations with one secret, and the check accepts what it wrote', async () => {
    await put('homeserver.yaml', `${HOMESERVER}password_config: {enabled: true, pepper: "p'e#: "}\n`)
    const { code, out } = await configure('--public-url', 'https://auth.example.org/x')
    expect(code).toBe(0)
    const config = await loadNew()
    expect(config.http.public_url).toBe('https://auth.example.org/x/')
    expect(config.matrix).toMatchObject({ server_name: 'example.org', endpoint: 'http://127.0.0.1:8008/' })
    expect(config.passwords).toMatchObject({ enabled: true, bcrypt_pepper: "p'e#: " })
    expect(config.secrets.master).toMatch(/^[0-9a-f]{64}$/)
    expect(config.database.uri).toBeUndefined()
    const synapse = parse(await read('new/homeserver.yaml')) as Record<string, unknown>
    expect(config.matrix.secret).toMatch(/^[0-9a-f]{64}$/)
    expect(synapse).toMatchObject({
      password_config: { pepper: "p'e#: " },
      matrix_authentication_service: {
        enabled: true,
        endpoint: 'http://localhost:8080/x/',
        secret: config.matrix.secret,
      },
    })
    expect(out).toContain('commented out: password_config.enabled')
    const check = await runCommand(['config', 'check', '-c', 'new/postern.yaml'], { cwd: folder })
    expect(check).toMatchObject({ code: 0, err: '' })
  })

  test('both files are for their owner only, and so is the folder', async () => {
    await put('homeserver.yaml', HOMESERVER)
    await configure()
    for (const [name, mode] of [
      ['new', 0o700],
      ['new/postern.yaml', 0o600],
      ['new/homeserver.yaml', 0o600],
    ] as const)
      expect((await stat(join(folder, name))).mode & 0o777).toBe(mode)
  })

  test('overwrites nothing unless told, and then neither follows a link nor keeps a mode', async () => {
    await put('homeserver.yaml', HOMESERVER)
    await mkdir(join(folder, 'new'), { recursive: true })
    await put('elsewhere', 'mine')
    await symlink('../elsewhere', join(folder, 'new/homeserver.yaml'))
    await writeFile(join(folder, 'new/postern.yaml'), 'mine', { mode: 0o644 })
    const refused = await configure()
    expect(refused.code).toBe(1)
    expect(refused.err).toBe(`${join(folder, 'new/postern.yaml')}: is there already; --force overwrites it`)
    await rm(join(folder, 'new/postern.yaml'))
    expect((await configure()).err).toContain('new/homeserver.yaml: is there already')
    // Where one is in the way, none is written.
    expect(await readdir(join(folder, 'new'))).toEqual(['homeserver.yaml'])
    expect((await configure('--force')).code).toBe(0)
    expect(await read('elsewhere')).toBe('mine')
    expect((await lstat(join(folder, 'new/homeserver.yaml'))).mode & 0o777).toBe(0o600)
    expect(await readdir(join(folder, 'new'))).toEqual(['homeserver.yaml', 'postern.yaml'])
  })

  test('never overwrites the homeserver.yaml that it reads, even when told', async () => {
    await mkdir(join(folder, 'new'), { recursive: true })
    await put('new/homeserver.yaml', HOMESERVER)
    await symlink('new/homeserver.yaml', join(folder, 'homeserver.yaml'))
    const { code, err } = await configure('--force')
    expect(code).toBe(1)
    expect(err).toContain('is what is read from; give --out another folder')
    expect(await read('homeserver.yaml')).toBe(HOMESERVER)
  })

  test("of several files those are written that change, and Debian's conf.d keeps its folder", async () => {
    await put('homeserver.yaml', `${HOMESERVER}enable_registration: true\n`)
    await mkdir(join(folder, 'conf.d'))
    await put('conf.d/10-login.yaml', 'session_lifetime: 1d\npassword_config: {pepper: x}\n')
    await put('conf.d/20-name.yaml', 'server_name: example.com\n')
    await put('conf.d/30-nothing.yaml', '# later\n')
    const { code } = await configure('--synapse-config', 'conf.d')
    expect(code).toBe(0)
    const main = await read('new/homeserver.yaml')
    expect(main).toContain('\n# enable_registration: true\n')
    expect(main).toContain('\nmatrix_authentication_service:\n')
    const login = await read('new/conf.d/10-login.yaml')
    expect(login).toContain('\n# session_lifetime: 1d\n')
    expect(login).not.toContain('matrix_authentication_service:')
    expect(await readdir(join(folder, 'new/conf.d'))).toEqual(['10-login.yaml'])
    expect(await loadNew()).toMatchObject({
      matrix: { server_name: 'example.com' },
      passwords: { bcrypt_pepper: 'x' },
    })
  })

  test('a section in a later file, which would win, is the one that is replaced', async () => {
    const section = 'matrix_authentication_service: {enabled: false, secret: old}\n'
    await put('homeserver.yaml', HOMESERVER + section)
    await mkdir(join(folder, 'conf.d'))
    await put('conf.d/mas.yaml', section.replace('old', 'newer'))
    await configure('--synapse-config', 'conf.d')
    expect(await read('new/homeserver.yaml')).not.toMatch(/^matrix_auth/m)
    const { matrix } = await loadNew()
    expect(matrix.secret).toBe('newer')
    expect(parse(await read('new/conf.d/mas.yaml'))).toMatchObject({
      matrix_authentication_service: { enabled: true, secret: 'newer' },
    })
  })

  test('a second run over what it wrote keeps the secret', async () => {
    await put('homeserver.yaml', HOMESERVER)
    await configure()
    const { matrix } = await loadNew()
    await put('homeserver.yaml', await read('new/homeserver.yaml'))
    expect((await configure('--force')).code).toBe(0)
    expect((await loadNew()).matrix.secret).toBe(matrix.secret)
    expect((await read('new/homeserver.yaml')).match(/^matrix_authentication_service:/gm)).toHaveLength(1)
  })

  test('a secret that Synapse has in a file stays in that file', async () => {
    await put('secret', 'from-a-file\n')
    await put(
      'homeserver.yaml',
      `${HOMESERVER}matrix_authentication_service: {secret_path: ${folder}/secret}\n`,
    )
    expect((await configure()).code).toBe(0)
    expect((await loadNew()).matrix.secret).toBe('from-a-file')
    expect(await read('new/postern.yaml')).not.toContain('from-a-file')
    expect(await read('new/homeserver.yaml')).toContain(`  secret_path: "${folder}/secret"`)
  })

  test('says what it could not carry over in the section where it belongs', async () => {
    await put(
      'irc.yaml',
      'id: irc\nas_token: a\nhs_token: b\nsender_localpart: irc\nurl: null\nnamespaces: {}\n',
    )
    await put(
      'homeserver.yaml',
      `${HOMESERVER}
password_config: {localdb_enabled: false, policy: {enabled: true, minimum_length: 15, require_digit: true}}
enable_registration: true
registrations_require_3pid: [email]
session_lifetime: 24h
app_service_config_files: [irc.yaml]
saml2_config: {sp_config: {metadata: {}}}
`,
    )
    await configure()
    const config = await loadNew()
    // Synapse took none of these passwords, so they do not come to life by the move.
    expect(config.passwords).toMatchObject({ enabled: false, minimum_length: 15 })
    expect(config.sessions.absolute_limit).toBeNull()
    const told = await comments()
    expect(told).toContain(
      'Not carried over: password_config.policy: require_digit. Postern asks for length only.',
    )
    expect(told).toContain(
      'Not carried over: Synapse signed nobody in with the passwords of its own database',
    )
    expect(told).toContain('Not carried over: saml2_config: there is no such way to sign in here.')
    expect(told).toContain('Not carried over: session_lifetime: 24h. Not set: absolute_limit is alike.')
    expect(told).toContain('Not carried over: set public_url to the address')
    expect(told).toContain('enable_registration: true registrations_require_3pid:  - email')
    expect(config.appservices.map(({ id }) => id)).toEqual(['irc'])
  })

  test('keeps upstream providers with every setting as a comment that is YAML', async () => {
    await put(
      'homeserver.yaml',
      `${HOMESERVER}
oidc_providers:
  - idp_id: dex
    idp_name: "My: Dex"
    idp_icon: mxc://example.org/x
    issuer: https://dex.example.org/
    client_id: synapse
    client_secret_path: /run/secrets/dex
    scopes: [openid, profile]
    allow_existing_users: true
    backchannel_logout_enabled: true
    attribute_requirements: [{attribute: groups, value: staff}]
    user_mapping_provider:
      config:
        subject_claim: id
        localpart_template: "{{ user.name }}"
        display_name_template: "{{ user.name|capitalize }}"
        email_template: |
          {{ user.mail }}

oidc_config:
  enabled: true
  issuer: https://old.example.org/
  client_id: old
  scopes: [user]
  discover: false
  token_endpoint: https://old.example.org/token
  user_mapping_provider: {module: mine.Mapper, config: {}}
`,
    )
    expect((await configure()).code).toBe(0)
    const text = await read('new/postern.yaml')
    const block = text.slice(text.indexOf('#upstream_providers:')).replace(/^#/gm, '')
    expect((parse(block) as { upstream_providers: unknown }).upstream_providers).toEqual([
      {
        synapse_idp_id: 'oidc-dex',
        name: 'My: Dex',
        issuer: 'https://dex.example.org/',
        discovery: true,
        client_id: 'synapse',
        client_secret_file: '/run/secrets/dex',
        token_endpoint_auth_method: 'client_secret_basic',
        pkce: 'auto',
        scopes: ['openid', 'profile'],
        fetch_userinfo: false,
        link_existing_users: true,
        sign_up: true,
        required_claims: [{ attribute: 'groups', value: 'staff' }],
        backchannel_logout: true,
        claims: {
          subject: '{{ user.id }}',
          localpart: '{{ user.name }}',
          display_name: '{{ user.name|capitalize }}',
          email: '{{ user.mail }}\n',
          picture: '{{ user.picture }}',
        },
      },
      expect.objectContaining({
        synapse_idp_id: 'oidc',
        discovery: false,
        token_endpoint: 'https://old.example.org/token',
        token_endpoint_auth_method: 'none',
        fetch_userinfo: true,
      }),
    ])
    expect(await comments()).toContain(
      'Without a place among them: oidc: user_mapping_provider is the Python module mine.Mapper',
    )
    expect(await comments()).toContain("dex: idp_icon mxc://example.org/x lies in Synapse's media.")
  })

  test('the summary as JSON names files, what went and what was not carried over, and no secret', async () => {
    await put(
      'homeserver.yaml',
      `${HOMESERVER}enable_registration: true
registration_shared_secret: hidden-1
password_config: {enabled: true, pepper: hidden-2}
sso: {client_whitelist: [x]}
database: {name: psycopg2, args: {user: 'sy"n', password: hidden-3, dbname: synapse, host: db}}
`,
    )
    const { out } = await configure('--json', '--database-name', 'auth')
    expect(JSON.parse(out)).toEqual({
      postern: {
        file: join(folder, 'new/postern.yaml'),
        not_carried_over: [{ section: 'http', text: expect.stringContaining('public_url') }],
      },
      synapse: [
        {
          source: join(folder, 'homeserver.yaml'),
          file: join(folder, 'new/homeserver.yaml'),
          commented_out: [
            { option: 'enable_registration', why: expect.any(String), refused: true },
            { option: 'password_config.enabled', why: expect.any(String), refused: true },
            { option: 'sso', why: expect.any(String), refused: false },
          ],
        },
      ],
      create_database: 'create database "auth" owner "sy""n"',
      accepted_by_synapse: null,
      synapse_message: null,
    })
    const { secret } = (await loadNew()).matrix
    expect(out).not.toContain('hidden-')
    expect(out).not.toContain(secret)
    expect((await configure('--force')).out).not.toMatch(/hidden-|[0-9a-f]{64}/)
  })

  test('where no listener can be reached, it says so, and the check accepts the rest', async () => {
    await put(
      'homeserver.yaml',
      'server_name: example.org\nlisteners: [{path: /run/s.sock, type: http, resources: [{names: [client]}]}]\n',
    )
    expect((await configure()).code).toBe(0)
    expect((await loadNew()).matrix).toMatchObject({ server_name: 'example.org' })
    expect(await comments()).toContain('homeserver.yaml does not tell where Synapse listens in plain HTTP')
    expect(await read('new/homeserver.yaml')).toMatch(/^ {2}secret: "[0-9a-f]{64}"$/m)
  })

  test('a Python that is none fails the command, after both were written', async () => {
    await put('homeserver.yaml', HOMESERVER)
    const { code, err } = await configure('--synapse-python', './no-python')
    expect(code).toBe(1)
    expect(err).toContain(`${join(folder, 'no-python')} cannot be run (ENOENT)`)
    expect(await readdir(join(folder, 'new'))).toEqual(['homeserver.yaml', 'postern.yaml'])
  })

  test.each([
    ['--public-url', 'auth.example.org', '--public-url is not an address: write an address such as'],
    ['--database-name', 'synapse', "--database-name synapse: is Synapse's own database"],
    ['--synapse-config', 'nowhere.yaml', 'nowhere.yaml: cannot be read (ENOENT)'],
  ])('%s %s fails before anything is written', async (option, value, message) => {
    await put('homeserver.yaml', `${HOMESERVER}database: {name: psycopg2, args: {database: synapse}}\n`)
    const { code, err } = await configure(option, value)
    expect(code).toBe(1)
    expect(err).toContain(message)
    expect(await readdir(folder)).toEqual(['homeserver.yaml'])
  })
})

describe("the database beside Synapse's", () => {
  /** Where Node.js' client goes with the address that was written. */
  async function target(args: string) {
    await put('homeserver.yaml', `${HOMESERVER}database: {name: psycopg2, args: {${args}}}\n`)
    expect((await configure('--force')).code).toBe(0)
    const { database } = await loadNew()
    const client = new pg.Client({ connectionString: database.uri! })
    const { host, port, user, password, database: name } = client
    return { host, port, user, password, name, ssl: client.ssl as unknown, uri: database.uri! }
  }

  test.each([
    [
      'host: db.example.org, user: u, password: "p@s/s:w#r?d%", dbname: synapse',
      { host: 'db.example.org', port: 5432, user: 'u', password: 'p@s/s:w#r?d%' },
    ],
    [
      'host: /run/postgresql, port: 5433, user: "ü:x", password: p, database: synapse',
      { host: '/run/postgresql', port: 5433, user: 'ü:x' },
    ],
    [
      'user: u, password: p, dbname: synapse, cp_min: 5, cp_max: 10',
      { host: '/var/run/postgresql', user: 'u' },
    ],
    ["host: '::1', port: '5434', user: u, password: p", { host: '::1', port: 5434 }],
    ['host: name, hostaddr: 10.1.2.3, user: u, password: p', { host: '10.1.2.3' }],
    ['host: "a,b", port: "1,2", user: u, password: p', { host: 'a', port: 1 }],
    [
      `dsn: "host=h port=7 user='a b' password='it\\\\'s' dbname=synapse"`,
      { host: 'h', port: 7, user: 'a b', password: "it's" },
    ],
    [
      'dsn: "postgresql://u:p%40@h:7/synapse?sslmode=disable"',
      { host: 'h', port: 7, user: 'u', password: 'p@', ssl: false },
    ],
    ['dsn: "postgres://u@/synapse?host=/tmp", password: p', { host: '/tmp', user: 'u', password: 'p' }],
  ])('is on the same server: %s', async (args, expected) => {
    expect(await target(args)).toMatchObject({ name: 'postern', ...expected })
  })

  test.each([
    ['disable', false],
    ['prefer', false],
    ['require', { rejectUnauthorized: false }],
    ['verify-full', {}],
  ])('sslmode %s means what it meant', async (mode, expected) => {
    const { ssl } = await target(`host: h, user: u, password: p, sslmode: ${mode}`)
    expect(ssl).toEqual(expected)
  })

  test('what has no counterpart is told', async () => {
    await target(
      "host: 'a,b', user: u, sslmode: verify-ca, options: '-c x=y', service: s, keepalives_idle: 10",
    )
    const told = await comments()
    expect(told).toContain('Not carried over: Of several hosts only the first was taken: a,b')
    expect(told).toContain('verify-full, which checks the host name too')
    expect(told).toContain('Not carried over: database.args has no password')
    expect(told).toContain('Not carried over: Left out of database.args: options, service.')
  })
})
