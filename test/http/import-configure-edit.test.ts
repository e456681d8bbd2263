import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { editHomeserverYaml } from '../../src/import/synapse/configure/edit-homeserver.ts'

const section = { enabled: true, endpoint: 'http://localhost:8080/', secret: 'abc' }
const edit = (text: string) => editHomeserverYaml(text, 'homeserver.yaml', section)
const contentOf = (text: string) =>
  parse(text, { version: '1.1', uniqueKeys: false }) as Record<string, unknown>
/** The lines that an edit left as they were, and those that it wrote. */
function linesOf(text: string) {
  const { text: edited } = edit(text)
  const before = text.split('\n')
  const after = edited.split('\n')
  return {
    kept: before.filter((line) => after.includes(line)),
    added: after.filter((line) => !before.includes(line)),
  }
}

describe('editing homeserver.yaml', () => {
  test('makes comments of what Synapse refuses, says why, and leaves every other character as it was', () => {
    const text = `# The server\t of ours
server_name: "example.org"   # quoted

enable_registration: true  # for now
registration_shared_secret: 'x'
password_config:
   # The pepper
   pepper: "p"
   enabled: true
   policy: {minimum_length: 12}

session_lifetime: 24h
# vim:ft=yaml`
    expect(edit(text).text).toBe(`# The server\t of ours
server_name: "example.org"   # quoted

# Postern: People sign up at Postern, not at Synapse.
# enable_registration: true  # for now
registration_shared_secret: 'x'
password_config:
   # The pepper
   pepper: "p"
   # Postern: Passwords are checked by Postern now.
   # enabled: true
   policy: {minimum_length: 12}

# Postern: Postern issues the tokens: sessions.absolute_limit.
# session_lifetime: 24h
# vim:ft=yaml

# Postern looks after sign-in. What Synapse refuses beside this section, or has no use for any more, became a
# comment below a line that begins with "# Postern:".
matrix_authentication_service:
  enabled: true
  endpoint: "http://localhost:8080/"
  secret: "abc"
`)
  })

  test('a file with nothing to take out only gets the section', () => {
    const text =
      'server_name: example.org\nenable_registration: false\npassword_config: {localdb_enabled: false}\n'
    const { text: edited, removed } = edit(text)
    expect(removed).toEqual([])
    expect(edited.startsWith(text)).toBe(true)
    expect(contentOf(edited).matrix_authentication_service).toEqual(section)
  })

  test.each([
    ['on one line', 'password_config: {enabled: true, pepper: "p"} # c'],
    ['over several lines', 'password_config: {\n  enabled: true,\n  pepper: "p" }'],
    ['with the rest merged in', 'x: &x {enabled: true, pepper: p}\npassword_config:\n  <<: *x\n'],
    ['as an alias', 'x: &x {enabled: true, pepper: p}\npassword_config: *x\n'],
  ])('a section written %s keeps its other keys', (_, text) => {
    const content = contentOf(edit(`server_name: a\n${text}\nreport_stats: no\n`).text)
    expect(content.password_config).toEqual({ pepper: 'p' })
    expect(content.report_stats).toBe(false)
  })

  test('a section that has nothing else goes as a whole', () => {
    for (const text of [
      'password_config:\n  enabled: true\n',
      'password_config: {enabled: only_for_reauth}\n',
    ]) {
      const { text: edited } = edit(`server_name: a\n${text}`)
      expect(contentOf(edited)).not.toHaveProperty('password_config')
      expect(edited).toContain('\n# password_config:')
    }
  })

  test('an alias outlives the anchor that went', () => {
    const text = `server_name: a
oidc_providers: &providers
  - idp_id: x
    issuer: &issuer "https://issuer.example/"
    scopes: [openid]
other: *issuer
another: {issuer: *issuer, <<: &m {a: 1}}
third: *providers
experimental_features: &features
  msc3861: {x: 1}
  msc3266_enabled: true
fourth: *features
`
    const content = contentOf(edit(text).text)
    const { oidc_providers, ...rest } = contentOf(text)
    expect(oidc_providers).toBeDefined()
    expect(content).toEqual({
      ...rest,
      experimental_features: { msc3266_enabled: true },
      matrix_authentication_service: section,
    })
    expect(content.fourth).toHaveProperty('msc3861')
  })

  test('a file with Windows line breaks keeps them everywhere', () => {
    const text =
      'server_name: a\r\nenable_registration: yes\r\npassword_config: {enabled: yes, pepper: p}\r\n'
    const { text: edited } = edit(text)
    expect(edited.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    expect(edited).toContain('\r\n# enable_registration: yes\r\n')
    expect(contentOf(edited)).toMatchObject({ password_config: { pepper: 'p' } })
  })

  test('a file written as JSON becomes one with lines', () => {
    const text = JSON.stringify({
      server_name: 'a',
      enable_registration: true,
      listeners: [{ port: 8008, resources: [{ names: ['client'] }] }],
      empty: {},
      yes: 'no',
    })
    const { text: edited } = edit(text)
    expect(edited).toContain('# enable_registration: true')
    expect(contentOf(edited)).toEqual({
      server_name: 'a',
      listeners: [{ port: 8008, resources: [{ names: ['client'] }] }],
      empty: {},
      yes: 'no',
      matrix_authentication_service: section,
    })
  })

  test.each([
    [
      'blocks of text',
      'a: |\n  x: 1\n\n  enabled\nuser_consent:\n  text: |+\n    t\n\n  version: 1\nb: >-\n  c\n',
    ],
    ['a mapping with an indent', '  server_name: a\n  sso:\n    client_whitelist:\n    - x\n  c: d\n'],
    [
      'a list without an indent',
      'password_providers:\n- module: x\n  config: {}\n- module: y\n  config: {}\nz: 1\n',
    ],
    ['an end mark', '---\nserver_name: a\nenable_3pid_changes: true\n...\n'],
    [
      'a directive and a byte-order mark',
      '\ufeff%YAML 1.1\n---\nserver_name: a\ncas_config: {server_url: x}\n',
    ],
    ['no line break at its end', 'server_name: a\nrefresh_token_lifetime: 1d'],
    ['an explicit key', 'server_name: a\n? enable_registration\n: true\nz: 1\n'],
    ['the same key twice', 'enable_registration: true\nserver_name: a\nenable_registration: true\n'],
    [
      'text on several lines',
      'server_name: a\njwt_config:\n  enabled: true\n  secret: "a\n\n   b"\n  algorithm: x\nz: 1\n',
    ],
    [
      'comments at every depth',
      'experimental_features:\n  # a\n  msc3861:\n    # b\n    enabled: true\n # c\n# d\n  e: 1\nf: 1\n',
    ],
    [
      'a key without value',
      'server_name: a\noidc_providers:\nuser_consent:\nui_auth:\nsso:\n  client_whitelist: [x]\n',
    ],
    ['a tagged value', 'server_name: a\nenable_registration: !!bool "true"\nz: 1\n'],
  ])('a file with %s says the same afterwards, without what went', (_, text) => {
    const { text: edited, removed } = edit(text)
    const before = contentOf(text.replace('\ufeff', ''))
    for (const { path } of removed) if (path.length === 1) delete before[path[0]]
    if (removed.some(({ path }) => path[1] === 'msc3861')) before.experimental_features = { e: 1 }
    expect(contentOf(edited.replace('\ufeff', ''))).toEqual({
      ...before,
      matrix_authentication_service: section,
    })
    expect(linesOf(text).added.join('\n')).toContain('matrix_authentication_service')
    // What was edited once has nothing more to take out.
    expect(edit(edited).removed).toEqual([])
  })

  test('a section that is there already is replaced where it stands', () => {
    const text = 'matrix_authentication_service:\n  enabled: false\n  secret: old\nserver_name: a\n'
    const { text: edited } = edit(text)
    expect(Object.keys(contentOf(edited))).toEqual(['matrix_authentication_service', 'server_name'])
    expect(edited).toContain('#   secret: old\n')
    const { text: without } = editHomeserverYaml(text, 'a.yaml', undefined)
    expect(contentOf(without)).toEqual({ server_name: 'a' })
  })

  test('of the modules only those go that are known to check passwords, and the others get a warning', () => {
    const text = `modules:
  - module: ldap_auth_provider.LdapAuthProviderModule
    config: {enabled: true}
  - module: mjolnir.Module
    config: {}
`
    const { text: edited } = edit(text)
    expect(contentOf(edited).modules).toEqual([{ module: 'mjolnir.Module', config: {} }])
    expect(edited.split('\n').slice(0, 4)).toEqual([
      '# Postern: look through these: Synapse does not start with a module that checks passwords or signs people in.',
      'modules:',
      '  # Postern: Synapse checks no passwords any more.',
      '  # - module: ldap_auth_provider.LdapAuthProviderModule',
    ])
    expect(edit('modules: [{module: rest_auth_provider.X, config: {}}]\n').text).not.toContain('\nmodules')
  })

  test('what is no YAML is refused with its line and none of its content, and what is no mapping stays', () => {
    expect(() => edit('a: 1\nsecret: [x\n')).toThrow(/^homeserver\.yaml:\d: is not valid YAML/)
    expect(() => edit('a: 1\nsecret: "hidden\n')).not.toThrow(/hidden/)
    expect(edit('# nothing here\n')).toEqual({ text: '# nothing here\n', removed: [] })
  })

  test('whatever a file holds, each of its lines is there afterwards, as it was or as a comment', () => {
    const scalar = fc.oneof(
      fc.constantFrom('x', 'a: b', '# no', 'yes', '24h', '*a', '{x}', ' lead', "it's", 'two\nlines\n', ''),
      fc.boolean(),
      fc.nat(),
      fc.constant(null),
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        scalar,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('enabled', 'k1', 'k2'), tie('value'), { maxKeys: 3 }),
      ),
    }))
    const sections = fc.record(
      {
        password_config: fc.record({ enabled: scalar, pepper: scalar, policy: value }, { requiredKeys: [] }),
        experimental_features: fc.record({ a: value, msc3861: value, z: value }, { requiredKeys: [] }),
        modules: fc.array(
          fc.record({ module: fc.constantFrom('ldap_auth_provider.X', 'other.Y'), config: value }),
        ),
        ...Object.fromEntries(
          ['enable_registration', 'oidc_providers', 'user_consent', 'sso', 'email', 'session_lifetime'].map(
            (key) => [key, value],
          ),
        ),
      },
      { requiredKeys: [] },
    )
    const style = fc.record({
      indent: fc.constantFrom(1, 2, 4),
      indentSeq: fc.boolean(),
      defaultStringType: fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL'),
    })
    fc.assert(
      fc.property(sections, style, fc.boolean(), (content, { defaultStringType, ...options }, isWindows) => {
        const document = { server_name: 'example.org', ...content }
        const stringType = defaultStringType as 'PLAIN'
        const lines = stringify(document, { version: '1.1', defaultStringType: stringType, ...options })
        const text = isWindows ? lines.replaceAll('\n', '\r\n') : lines
        // It throws where the edited file would not say the same as before, but for what went.
        const edited = edit(text).text.split('\n')
        const uncommented = new Set(edited.map((line) => line.replace(/^( *)# ?/, '$1')))
        for (const line of text.split('\n')) {
          const isThere = edited.includes(line) || uncommented.has(line) || line.trim() === ''
          if (!isThere) expect(edited).toContain(line)
        }
      }),
      { numRuns: 500 },
    )
  })
})
