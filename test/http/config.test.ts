import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { type Config, ConfigError, loadConfig } from '../../src/config/index.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function load(yaml: string, env: NodeJS.ProcessEnv = {}): Promise<Config> {
  await writeFile(join(folder, 'postern.yaml'), yaml)
  return loadConfig({ env, cwd: folder })
}

async function problems(yaml: string, env: NodeJS.ProcessEnv = {}): Promise<readonly string[]> {
  try {
    await load(yaml, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('without a file', () => {
  test('every option has its default', async () => {
    const config = await loadConfig({ env: {}, cwd: folder })
    expect(config.http).toEqual({
      public_url: 'http://localhost:8080/',
      listeners: [{ host: '127.0.0.1', port: 8080 }],
      drain_limit: 20,
      trusted_proxies: ['127.0.0.0/8', '::1/128'],
    })
    expect(config.matrix).toEqual({ server_name: 'localhost', request_timeout: 10 })
    expect(config.data_folder).toBe(join(folder, 'data'))
    expect(config.secrets).toEqual({ master: undefined, keys_folder: join(folder, 'data', 'keys') })
    expect(config.tokens).toEqual({ access_token_ttl: 300, refresh_grace: 30 })
    expect(config.sessions).toEqual({ idle_limit: null, absolute_limit: null })
    expect(config.clients).toEqual([])
    expect(config.database.max_connections).toBe(10)
  })

  test('an empty file and keys without a value mean the same', async () => {
    const config = await loadConfig({ env: {}, cwd: folder })
    expect(await load('')).toEqual(config)
    expect(await load('# nothing\n')).toEqual(config)
    expect(await load('http:\nmatrix:\n  endpoint:\nclients:\n')).toEqual(config)
  })
})

describe('finding the file', () => {
  test('an explicit file goes before POSTERN_CONFIG, and that before ./postern.yaml', async () => {
    for (const name of ['a', 'b', 'postern'])
      await writeFile(join(folder, `${name}.yaml`), `branding: {service_name: ${name}}`)
    const name = async (file: string | undefined, env: NodeJS.ProcessEnv) =>
      (await loadConfig({ file, env, cwd: folder })).branding.service_name
    expect(await name('a.yaml', { POSTERN_CONFIG: 'b.yaml' })).toBe('a')
    expect(await name(undefined, { POSTERN_CONFIG: 'b.yaml' })).toBe('b')
    expect(await name(undefined, {})).toBe('postern')
  })

  test('a file that was asked for and is not there is an error that names it', async () => {
    const loading = loadConfig({ file: 'missing.yaml', env: {}, cwd: folder })
    await expect(loading).rejects.toThrow(`${join(folder, 'missing.yaml')}: cannot be read (ENOENT)`)
  })
})

describe('errors', () => {
  test('say where, which option, what is wrong and what to write instead', async () => {
    const yaml = 'matrix:\n  server_name: example.org\nhttp:\n  public_url: auth.example.org\n'
    expect(await problems(yaml)).toEqual([
      'postern.yaml:4: http.public_url: is not an address; write an address such as https://auth.example.org/ instead',
    ])
  })

  test('tell what the address of a collector and a ratio look like', async () => {
    const write = 'write an address such as http://localhost:4318/v1/traces instead'
    for (const [endpoint, what] of [
      ['localhost:4318', 'is not an http or https address'],
      ['http://key@collector/v1/traces', 'has a user name, password, query or fragment in it'],
      ['http://collector/v1/traces?key=x', 'has a user name, password, query or fragment in it'],
    ]) {
      expect(await problems(`tracing:\n  endpoint: ${endpoint}`)).toEqual([
        `postern.yaml:2: tracing.endpoint: ${what}; ${write}`,
      ])
    }
    expect(await problems('tracing: {sample_ratio: 10}')).toEqual([
      expect.stringContaining('write a number from 0 to 1, such as 0.1 for every tenth instead'),
    ])
    const { tracing } = await load('tracing: {endpoint: "http://c:4318/v1/traces", sample_ratio: 0.25}')
    expect(tracing).toMatchObject({ sample_ratio: 0.25, service_name: 'postern' })
  })

  test('are all listed at once', async () => {
    const yaml = [
      'htpp: {}',
      'http:',
      '  listeners:',
      '    - port: 80800',
      '    - hots: localhost',
      'passwords: {enabled: yes, minimum_length: 8.5}',
      'log: {level: loud}',
    ].join('\n')
    const found = await problems(yaml, { POSTERN_HTPP: '1' })
    expect(found.map((line) => line.split('; ')[0])).toEqual([
      'environment variable POSTERN_HTPP: is not known',
      'postern.yaml:4: http.listeners[0].port: is too large',
      'postern.yaml:5: http.listeners[1].hots: is not known',
      'postern.yaml:6: passwords.enabled: is not true or false',
      'postern.yaml:6: passwords.minimum_length: is not a whole number',
      'postern.yaml:7: log.level: is none of the known values',
      'postern.yaml:1: htpp: is not known',
    ])
  })

  test('suggest the key that was probably meant', async () => {
    expect(await problems('http:\n  publc_url: x')).toEqual([
      'postern.yaml:2: http.publc_url: is not known; did you mean public_url?',
    ])
    expect((await problems('log: {colour: red}'))[0]).toContain('known here: level')
  })

  test.each([
    ['not YAML', 'a: [1'],
    ['a list', '- a'],
    ['a scalar', 'postern'],
    ['a key twice', 'log: {}\nlog: {}'],
    ['two documents', 'log: {}\n---\nlog: {}'],
    ['an unknown tag', 'log: !odd {}'],
    ['an alias of itself', 'log: &a\n  level: *a'],
    ['a number as key', '1: a'],
    ['a prototype', '__proto__: {a: 1}'],
    ['deep nesting', '['.repeat(20_000)],
    ['an alias bomb', aliasBomb()],
  ])('%s is an error with a line', async (_, yaml) => {
    expect((await problems(yaml))[0]).toMatch(/^postern\.yaml(:\d+)?: /)
  })

  test('never repeat a secret', async () => {
    const yaml = 'matrix: {secret: hunter2}\ndatabase: {uri: "mysql://hunter2"}\nsecrets: {master: hunter2}'
    const found = await problems(yaml, { POSTERN_CLIENTS: '[{client_secret: hunter2' })
    expect(found).toHaveLength(4)
    expect(found.join('\n')).not.toContain('hunter2')
  })
})

function aliasBomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level < 9; level++)
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`)
  return lines.join('\n')
}

describe('the environment', () => {
  test('overrides the file, texts as they are and everything else as YAML', async () => {
    const config = await load('http: {public_url: "https://a.example/"}\nlog: {level: warn}', {
      POSTERN_HTTP__PUBLIC_URL: 'https://b.example/auth',
      POSTERN_HTTP__LISTENERS: '[{port: 8081}]',
      POSTERN_PASSWORDS__ENABLED: 'false',
      POSTERN_LIMITS__SIGN_IN_PER_USER__POINTS: '3',
      POSTERN_DATA_FOLDER: '/srv/postern',
      POSTERN_MATRIX__ENDPOINT: 'http://localhost:8008',
      POSTERN_MATRIX__SECRET: '0123 # not a comment',
      POSTERN_BRANDING__SERVICE_NAME: '',
      HOME: '/root',
    })
    expect(config.http.public_url).toBe('https://b.example/auth/')
    expect(config.http.listeners).toEqual([{ host: '127.0.0.1', port: 8081 }])
    expect(config.passwords.enabled).toBe(false)
    expect(config.limits.sign_in_per_user).toEqual({ points: 3, per_seconds: 300 })
    expect(config.data_folder).toBe('/srv/postern')
    expect(config.matrix.secret).toBe('0123 # not a comment')
    expect(config.branding.service_name).toBeUndefined()
    expect(config.log.level).toBe('warn')
  })

  test('a wrong value names its variable', async () => {
    expect(await problems('', { POSTERN_HTTP__PUBLIC_URL: 'ftp://a.example' })).toEqual([
      'environment variable POSTERN_HTTP__PUBLIC_URL: http.public_url: is not an http or https address; write an address such as https://auth.example.org/ instead',
    ])
  })

  test('a variable that is no YAML is an error', async () => {
    expect(await problems('', { POSTERN_HTTP__LISTENERS: '[{port: 1' })).toEqual([
      'environment variable POSTERN_HTTP__LISTENERS: is not valid YAML; write a list such as [{ host: 127.0.0.1, port: 8080 }] instead',
    ])
  })

  test('an unknown variable is an error with a suggestion', async () => {
    expect(await problems('', { POSTERN_HTTP_PUBLIC_URL: 'https://a.example' })).toEqual([
      'environment variable POSTERN_HTTP_PUBLIC_URL: is not known; did you mean POSTERN_HTTP__PUBLIC_URL?',
    ])
  })

  test("a secret of the environment displaces the file's secret_file", async () => {
    const yaml = 'matrix: {endpoint: "http://hs/", secret_file: /nowhere}'
    expect((await load(yaml, { POSTERN_MATRIX__SECRET: 'from env' })).matrix.secret).toBe('from env')
  })
})

describe('secrets in files', () => {
  test("are read from the configuration file's folder, without the newline at their end", async () => {
    await writeFile(join(folder, 'secret'), 'a secret \n')
    await writeFile(join(folder, 'client'), '0123456789abcdef')
    await writeFile(join(folder, 'uri'), 'postgresql://p:w@localhost/postern\r\n')
    const config = await load(
      stringify({
        matrix: { endpoint: 'http://localhost:8008', secret_file: 'secret' },
        database: { uri_file: 'uri' },
        passwords: { bcrypt_pepper_file: 'secret' },
        clients: [
          {
            client_id: 'a',
            auth_method: 'client_secret_basic',
            client_secret_file: 'client',
            redirect_uris: ['https://a.example/cb'],
          },
        ],
      }),
    )
    expect(config.matrix).toEqual({
      server_name: 'localhost',
      endpoint: 'http://localhost:8008/',
      secret: 'a secret ',
      request_timeout: 10,
    })
    expect(config.database.uri).toBe('postgresql://p:w@localhost/postern')
    expect(config.passwords.bcrypt_pepper).toBe('a secret ')
    expect(config.clients[0]?.client_secret).toBe('0123456789abcdef')
  })

  test('beside the secret itself are an error', async () => {
    await writeFile(join(folder, 'secret'), 'x')
    expect(await problems('matrix: {endpoint: "http://hs/", secret: x, secret_file: secret}')).toEqual([
      'postern.yaml:1: matrix.secret_file: is given beside secret; write only one of the two',
    ])
  })

  test('that cannot be read are an error with the path', async () => {
    expect(await problems('matrix:\n  endpoint: http://hs/\n  secret_file: nowhere')).toEqual([
      `postern.yaml:3: matrix.secret_file: names the file ${join(folder, 'nowhere')}, which cannot be read (ENOENT); write the path of a file that the service may read`,
    ])
  })

  test('with the wrong content are an error at the line of the file option', async () => {
    await writeFile(join(folder, 'master'), 'short')
    expect(await problems('secrets:\n  master_file: master')).toEqual([
      'postern.yaml:2: secrets.master: is not 64 hexadecimal digits; write the output of: openssl rand -hex 32 instead',
    ])
  })
})

describe('checks', () => {
  test.each([
    ['https://auth.example.org', 'https://auth.example.org/'],
    ['https://Example.org:443/auth', 'https://example.org/auth/'],
    ['http://[::1]:8080/', 'http://[::1]:8080/'],
  ])('the public address %s becomes %s', async (written, expected) => {
    expect((await load(stringify({ http: { public_url: written } }))).http.public_url).toBe(expected)
  })

  test.each([
    ['ftp://a.example/', 'is not an http or https address'],
    ['https://a.example/?', 'has a query'],
    ['https://a.example/#x', 'has a fragment'],
    ['https://me@a.example/', 'has a user name'],
    ['a.example', 'is not an address'],
  ])('the public address %s is refused', async (written, expected) => {
    expect((await problems(stringify({ http: { public_url: written } })))[0]).toContain(expected)
  })

  test.each(['example.org', 'localhost:8448', '1.2.3.4', '[::1]:8448', 'Example.org'])(
    'the server name %s is accepted',
    async (name) => {
      expect((await load(stringify({ matrix: { server_name: name } }))).matrix.server_name).toBe(name)
    },
  )

  test.each(['https://example.org', '@a:example.org', 'exa mple', '[::zz]', 'a:123456', ''])(
    'the server name "%s" is refused',
    async (name) => {
      expect((await problems(stringify({ matrix: { server_name: name } })))[0]).toContain(
        'is not a Matrix server name',
      )
    },
  )

  test('an endpoint without a secret, and a secret without an endpoint, are refused', async () => {
    expect((await problems('matrix: {endpoint: "http://hs/"}'))[0]).toContain('matrix.secret: is missing')
    expect((await problems('matrix: {secret: x}'))[0]).toContain('matrix.endpoint: is missing')
  })

  test.each(['10.0.0.0/33', '10.0.0/8', 'example.org', '::1/129', '1.2.3.4/8/8', 'fe80::%eth0/64', '/8'])(
    'the network %s is refused',
    async (network) => {
      expect(await problems(stringify({ http: { trusted_proxies: [network] } }))).toHaveLength(1)
    },
  )

  test('an address without a prefix length is told which one to add', async () => {
    expect(await problems('http: {trusted_proxies: [10.1.2.3]}')).toEqual([
      'postern.yaml:1: http.trusted_proxies[0]: has no prefix length; write 10.1.2.3/32 instead',
    ])
  })

  test('durations are whole seconds within their bounds', async () => {
    expect((await problems('tokens: {access_token_ttl: 5m}'))[0]).toContain(
      'is not a number; write a whole number of seconds from 60 to 86400, without a unit instead',
    )
    expect((await problems('tokens: {access_token_ttl: 59}'))[0]).toContain('is too small')
  })
})

describe('clients', () => {
  const good = { client_id: 'a', auth_method: 'none', redirect_uris: ['https://a.example/cb'] }
  const withSecret = { ...good, auth_method: 'client_secret_post', client_secret: '0123456789abcdef' }

  test('get their defaults', async () => {
    expect((await load(stringify({ clients: [good] }))).clients).toEqual([
      {
        ...good,
        post_logout_redirect_uris: [],
        backchannel_logout_session_required: false,
        require_pushed_authorization_requests: false,
        grant_types: ['authorization_code', 'refresh_token'],
        skip_consent: false,
        may_introspect: false,
        application_type: 'web',
      },
    ])
    expect(await problems(stringify({ clients: [withSecret] }))).toEqual([])
  })

  test.each([
    ['redirect_uris[0]: is not an absolute address', { ...good, redirect_uris: ['/cb'] }],
    ['redirect_uris[0]: has a fragment', { ...good, redirect_uris: ['https://a.example/#x'] }],
    ['redirect_uris[0]: has the scheme javascript:', { ...good, redirect_uris: ['javascript:alert(1)'] }],
    ['redirect_uris[0]: is no web address', { ...good, redirect_uris: ['org.example.app:/cb'] }],
    ['redirect_uris: is empty', { ...good, redirect_uris: [] }],
    ['client_id: is missing', { auth_method: 'none', redirect_uris: ['https://a.example/cb'] }],
    ['client_id: is not 1 to 255 printable', { ...good, client_id: 'a b' }],
    ['auth_method: is missing', { client_id: 'a', redirect_uris: ['https://a.example/cb'] }],
    ['auth_method: is none, but there is a secret', { ...withSecret, auth_method: 'none' }],
    ['client_secret: is missing', { ...good, auth_method: 'client_secret_basic' }],
    ['client_secret: is too short', { ...withSecret, client_secret: '0123456789abcde' }],
    ['grant_types: has client_credentials', { ...good, grant_types: ['client_credentials'] }],
    ['grant_types[0]: is none of the known values', { ...good, grant_types: ['password'] }],
    ['may_introspect: needs a secret', { ...good, may_introspect: true }],
    ['scope: is not a list of scopes', { ...good, scope: 'openid  email' }],
  ])('%s', async (expected, client) => {
    expect((await problems(stringify({ clients: [client] })))[0]).toContain(`: clients[0].${expected}`)
  })

  test('a native app may use a scheme of its own', async () => {
    const native = { ...good, application_type: 'native', redirect_uris: ['org.example.app:/cb'] }
    expect(await problems(stringify({ clients: [native] }))).toEqual([])
  })

  test('no client_id is there twice', async () => {
    const found = await problems(stringify({ clients: [good, withSecret] }))
    expect(found).toEqual(['postern.yaml:6: clients[1].client_id: is there twice; write another one'])
  })
})

describe('malformed input', () => {
  const key = fc.constantFrom(
    'http',
    'clients',
    'matrix',
    'public_url',
    'listeners',
    'secret',
    'client_id',
    '__proto__',
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(key, fc.string()), tie('tree'), { maxKeys: 4 }),
    ),
  }))
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(': ', '\n', '  ', '- ', '&a ', '*a', '!!', '|\n', '"', '{', '['),
    key,
  )

  test('any text is either a configuration or a ConfigError', async () => {
    const text = fc.oneof(
      fc.array(piece, { maxLength: 30 }).map((parts) => parts.join('')),
      tree.map((value) => JSON.stringify(value)),
    )
    await fc.assert(
      fc.asyncProperty(text, async (yaml) => void (await problems(yaml))),
      { numRuns: 500 },
    )
  })

  test('any environment is either a configuration or a ConfigError', async () => {
    const name = fc.constantFrom(
      'POSTERN_HTTP__LISTENERS',
      'POSTERN_CLIENTS',
      'POSTERN_LOG__LEVEL',
      'POSTERN_X',
    )
    const env = fc.dictionary(
      name,
      fc.oneof(
        fc.string(),
        fc.array(piece).map((parts) => parts.join('')),
      ),
    )
    await fc.assert(
      fc.asyncProperty(env, async (variables) => void (await problems('', variables))),
      { numRuns: 300 },
    )
  })
})
