import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { networksValue } from '../../src/policy/environment.ts'
import { PolicyError } from '../../src/policy/error.ts'
import { evaluateRules } from '../../src/policy/evaluate.ts'
import type { PolicyInput } from '../../src/policy/kinds.ts'
import { loadRules } from '../../src/policy/load.ts'
import { createPolicyFolder, type PolicyFolder } from '../support/policies.ts'

let folder: PolicyFolder
const networks = { office: ['10.0.0.0/8', 'fd00::/8'], home: ['192.0.2.0/24'] }
const values = networksValue(networks)

beforeAll(async () => {
  folder = await createPolicyFolder()
})
beforeEach(async () => {
  await folder.remove()
  folder = await createPolicyFolder()
})
afterAll(() => folder.remove())

const user = { localpart: 'bob', mxid: '@bob:example.org', admin: false, mfa: false }
const password: PolicyInput<'password_login'> = {
  login: { door: 'page' },
  user,
  request: { ip: '192.0.2.7', userAgent: 'Firefox' },
}
const registration: PolicyInput<'client_registration'> = {
  client: {
    name: 'App',
    uri: 'https://app.example/',
    host: 'app.example',
    redirectUris: [],
    grantTypes: [],
    applicationType: 'web',
    authMethod: 'none',
  },
  request: { ip: '192.0.2.7', userAgent: '' },
}

/** Ten lists, each of ten times the one before. */
function bomb(): string {
  const lists = Array.from({ length: 9 }, (_, at) => `l${at + 1}: &l${at + 1} [${Array(10).fill(`*l${at}`)}]`)
  return ['l0: &l0 [x]', ...lists].join('\n')
}

/** What the rules decide about a password that was typed. */
async function decide(when: string, input = password) {
  await folder.rules('password_login', [{ id: 'rule', when, outcome: 'deny' }])
  const rules = await loadRules({ folder: folder.path, networks })
  return evaluateRules(rules, 'password_login', input, values)
}

/** Whether a condition is true. */
async function holds(when: string, input = password): Promise<boolean> {
  const { matched, violations } = await decide(when, input)
  expect(violations.flatMap(({ failure }) => failure ?? [])).toEqual([])
  return matched.length === 1
}

/** The first problem of a condition, without the name of the file. */
async function problem(when: string): Promise<string> {
  const error = await decide(when).then(
    () => undefined,
    (error) => error,
  )
  expect(error).toBeInstanceOf(PolicyError)
  return (error as PolicyError).problems[0]!.replace(`${folder.path}/password_login.yaml`, 'FILE')
}

async function problems(name: string, text: string): Promise<string[]> {
  await folder.put(name, text)
  const error = await loadRules({ folder: folder.path, networks }).then(
    () => undefined,
    (error) => error,
  )
  expect(error).toBeInstanceOf(PolicyError)
  return (error as PolicyError).problems.map((one) => one.replaceAll(`${folder.path}/`, ''))
}

describe('conditions', () => {
  test('look at what the decision is about', async () => {
    expect(await holds('user.localpart == "bob"')).toBe(true)
    expect(await holds('user.admin || login.door == "compat"')).toBe(false)
    expect(await holds('request.userAgent.startsWith("Fire")')).toBe(true)
  })

  test('know networks by name, by text and in lists, of both families', async () => {
    expect(await holds('cidr(request.ip, networks.home)')).toBe(true)
    expect(await holds('cidr(request.ip, networks.office)')).toBe(false)
    expect(await holds('cidr(request.ip, "192.0.2.0/30")')).toBe(false)
    expect(await holds('cidr(request.ip, ["10.0.0.0/8", "192.0.2.7/32"])')).toBe(true)
    const input = { ...password, request: { ip: 'fd00::1', userAgent: '' } }
    expect(await holds('cidr(request.ip, networks.office)', input)).toBe(true)
    expect(await holds('cidr(request.ip, networks.home)', input)).toBe(false)
  })

  test('find an IPv4 address in its IPv6 notation', async () => {
    const input = { ...password, request: { ip: '::ffff:10.1.2.3', userAgent: '' } }
    expect(await holds('cidr(request.ip, networks.office)', input)).toBe(true)
  })

  test('match patterns anywhere by like(), and as a whole by glob()', async () => {
    expect(await holds('user.mxid.like("^@b.b:")')).toBe(true)
    expect(await holds('user.mxid.like("ob:")')).toBe(true)
    expect(await holds('user.mxid.glob("ob:")')).toBe(false)
    expect(await holds('user.mxid.glob("@?ob:*.org")')).toBe(true)
    expect(await holds('user.mxid.glob("@?ob:*xorg")')).toBe(false)
    expect(await holds('request.userAgent.glob("[F]irefox")')).toBe(false)
  })

  test('compare names as people read them by normalized()', async () => {
    const named = (localpart: string) => ({ ...password, user: { ...user, localpart } })
    expect(await holds('user.localpart.normalized() == "root"', named('Ｒｏ\u200bót'))).toBe(true)
    expect(await holds('user.localpart.normalized() == "root"', named('robot'))).toBe(false)
  })
})

describe('what would take too long', () => {
  test('matches() is refused, and names like()', async () => {
    expect(await problem('user.localpart.matches("^(a+)+$")')).toContain('write like() instead')
  })

  test('a pattern that a backtracking engine would chew on for years is done at once', async () => {
    const input = { ...password, user: { ...user, localpart: `${'a'.repeat(2000)}!` } }
    const before = performance.now()
    expect(await holds('user.localpart.like("^(a+)+$") || user.localpart.like("(a|aa)+$")', input)).toBe(
      false,
    )
    expect(performance.now() - before).toBeLessThan(1000)
  })

  test('patterns and networks have to be written out, and are checked when they are loaded', async () => {
    expect(await problem('user.localpart.like(user.mxid)')).toContain('needs a pattern that is written out')
    expect(await problem('user.localpart.glob(user.mxid)')).toContain('needs a pattern that is written out')
    expect(await problem('user.localpart.like("(a")')).toContain('needs an RE2 pattern')
    expect(await problem('user.localpart.like("(?=a)")')).toContain('needs an RE2 pattern')
    expect(await problem('cidr(request.ip, request.userAgent + "/8")')).toContain('needs networks.NAME')
    expect(await problem('cidr(request.ip, "10.0.0.0/99")')).toContain('10.0.0.0/99 is not a network')
    expect(await problem('cidr(request.ip, ["10.0.0.0"])')).toContain('10.0.0.0 is not a network')
  })

  test('deep and long conditions are refused', async () => {
    expect(await problem(`${'('.repeat(60)}true${')'.repeat(60)}`)).toContain('maxDepth')
    expect(await problem(Array(210).fill('user.mfa').join(' || '))).toContain('maxAstNodes')
    expect(await problem(`user.admin || "${'x'.repeat(5000)}" == ""`)).toContain(
      'is longer than 4096 characters',
    )
  })

  test('lists are not walked through in more than two turns', async () => {
    const deep = '["a"].exists(a, ["b"].exists(b, ["c"].exists(c, a == c && b == c)))'
    expect(await problem(deep)).toContain('stands inside of 2 others')
    expect(await holds('["a"].exists(a, ["a"].exists(b, a == b))')).toBe(true)
  })

  test('a condition that grows beyond every bound is cut off, and denies', async () => {
    const long = { ...password, request: { ip: '192.0.2.7', userAgent: 'ab'.repeat(1000) } }
    const letters = 'request.userAgent.split("")'
    const when = `(${letters} + ${letters}).exists(a, (${letters} + ${letters}).exists(b, a + b == "no"))`
    await folder.rules('password_login', [
      { id: 'before', when: 'true', outcome: 'reauthenticate' },
      { id: 'endless', when, outcome: 'require_mfa' },
    ])
    const rules = await loadRules({ folder: folder.path, networks })
    const before = performance.now()
    const decision = evaluateRules(rules, 'password_login', long, values)
    expect(performance.now() - before).toBeLessThan(2000)
    expect(decision).toMatchObject({ outcome: 'deny', matched: ['before', 'endless'] })
    expect(decision.violations.at(-1)).toMatchObject({ id: 'endless', failure: 'takes too long' })
    // The next decision is made as ever.
    expect(await holds('user.localpart == "bob"')).toBe(true)
  })

  test('an input that is too large denies in place of being looked at', async () => {
    await folder.rules('client_registration', [
      { id: 'many', when: 'client.redirectUris.exists(uri, uri == "x")', outcome: 'deny' },
    ])
    const rules = await loadRules({ folder: folder.path, networks })
    const with_ = (client: object) =>
      evaluateRules(
        rules,
        'client_registration',
        { ...registration, client: { ...registration.client, ...client } },
        values,
      )
    expect(with_({ redirectUris: Array(64).fill('https://app.example/') }).outcome).toBe('allow')
    const many = with_({ redirectUris: Array(65).fill('https://app.example/') })
    expect(many.outcome).toBe('deny')
    expect(many.violations[0]?.failure).toContain('redirectUris is too long')
    expect(with_({ name: 'x'.repeat(2049) }).outcome).toBe('deny')
  })
})

describe('what reaches beyond', () => {
  test('prototypes cannot be reached', async () => {
    for (const key of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(await problem(`user.${key} == "x"`)).toContain(`user.${key} is not known`)
      expect(await problem(`user["${key}"] == "x"`)).toContain(`user.${key} is not known`)
    }
    expect(await problem('networks.constructor == networks.office')).toContain('networks.constructor')
  })

  test('functions that switch the checks off, or that nobody needs, are refused', async () => {
    expect(await problem('dyn(user).usernme == "x"')).toContain('dyn()')
    expect(await problem('has(user.usernme)')).toContain('has() is not needed')
    expect(await problem('cel.bind(x, "aa", x + x == "aaaa")')).toContain('cel.bind() is not allowed')
    expect(await problem('bytes("x").json() == 1')).toContain('json() is not known')
    expect(await problem('"a".constructor("x") == "a"')).toContain('constructor() is not known')
  })
})

describe('decisions', () => {
  test('the strongest outcome wins, with its own message, and all that matched are listed', async () => {
    const rule = (id: string, outcome: string) => ({ id, outcome, when: 'true', message: `because of ${id}` })
    const all = [rule('again', 'reauthenticate'), rule('second', 'require_mfa'), rule('no', 'deny')]
    for (const [rules, outcome, message] of [
      [all, 'deny', 'because of no'],
      [all.slice(0, 2), 'require_mfa', 'because of second'],
      [all.slice(0, 1), 'reauthenticate', 'because of again'],
      [[], 'allow', undefined],
    ] as const) {
      await folder.rules('password_login', rules)
      const decision = evaluateRules(
        await loadRules({ folder: folder.path, networks }),
        'password_login',
        password,
        values,
      )
      expect(decision).toMatchObject({ outcome, matched: rules.map(({ id }) => id) })
      expect(decision.message).toBe(message)
    }
  })

  test('a rule that fails to evaluate denies', async () => {
    for (const when of ['["a"][3] == "a"', 'int(user.localpart) > 1', '1 / 0 == 1']) {
      const decision = await decide(when)
      expect(decision.outcome, when).toBe('deny')
      expect(decision.violations[0]?.failure, when).toBeTruthy()
    }
    const decision = await decide('!cidr(request.ip, networks.office)', {
      ...password,
      request: { ip: '', userAgent: '' },
    })
    expect(decision.outcome).toBe('deny')
  })

  test('of several session limits the strictest counts', async () => {
    await folder.rules('session_limit', [
      { id: 'a', hard: 10, at_hard: 'end_oldest' },
      { id: 'b', soft: 3, hard: 20 },
      { id: 'c', when: 'user.admin', hard: 1 },
    ])
    const rules = await loadRules({ folder: folder.path, networks })
    const session = { kind: 'oauth' }
    expect(evaluateRules(rules, 'session_limit', { user, session }, values)).toMatchObject({
      outcome: 'allow',
      matched: ['a', 'b'],
      limit: { soft: 3, hard: 10, atHard: 'refuse' },
    })
  })
})

describe('problems', () => {
  const rule = 'on: password_login\nrules:\n  - id: a\n    then: deny\n'

  test.each<[string, string, RegExp]>([
    ['a bomb of aliases', bomb(), /bomb.yaml:1:1: Excessive alias count/],
    [
      'lists in lists without an end',
      `on: password_login\nrules: ${'['.repeat(20_000)}`,
      /bomb.yaml:\d+:\d+: /,
    ],
    ['a key twice', `${rule}on: password_login\n`, /bomb.yaml:5:1: Map keys must be unique/],
    ['several documents', `${rule}---\n${rule}`, /bomb.yaml:5:1: .*multiple documents/],
    ['a tag', 'on: !!js/function x\nrules: []\n', /bomb.yaml:1:5: Unresolved tag/],
    ['a prototype', `${rule}__proto__: {}\n`, /bomb.yaml:5:1: "__proto__" is not known/],
    [
      'a rule and its alias',
      'on: password_login\nrules:\n  - &a {id: a, then: deny}\n  - *a\n',
      /a is taken/,
    ],
    ['a condition that is no text', `${rule}    when: true\n`, /bomb.yaml:5:11: "when" .*expected string/],
    ['a name with other letters', rule.replace('id: a', 'id: größe'), /bomb.yaml:3:9: "id" must be/],
    ['more than a file may hold', rule + '#'.repeat(300_000), /bomb.yaml:1:1: is larger than 256 KiB/],
    [
      'more rules than are read',
      `on: password_login\nrules:\n${Array.from({ length: 1001 }, (_, at) => `  - {id: r${at}, then: deny}`).join('\n')}`,
      /bomb.yaml:1:1: brings the rules to more than 1000/,
    ],
  ])('%s is told with its place', async (_, text, said) => {
    expect((await problems('bomb.yaml', text))[0]).toMatch(said)
  })

  test('what is no file is told, and not waited for', async () => {
    await mkdir(join(folder.path, 'folder.yaml'))
    await promisify(execFile)('mkfifo', [join(folder.path, 'pipe.yaml')])
    expect(await problems('rules.yaml', rule)).toEqual([
      'folder.yaml:1:1: is no file',
      'pipe.yaml:1:1: is no file',
    ])
  })

  test('a name that is not known is told with line, column and what was meant', async () => {
    const text = [
      'on: password_login',
      'rules:',
      '  - id: one',
      '    when: \'user.localprt == "x"\'',
      '    then: deny',
    ]
    expect(await problems('rules.yaml', text.join('\n'))).toEqual([
      [
        'rules.yaml:4:17: rule one: user.localprt is not known; did you mean localpart?',
        '      when: \'user.localprt == "x"\'',
        '                  ^',
      ].join('\n'),
    ])
  })

  test.each([
    ['usr.admin', 'variable usr is not known; did you mean user?'],
    ['usr == 1', 'variable usr is not known; did you mean user?'],
    ['cidr(request.ip, networks.offic)', 'networks.offic is not known; did you mean office?'],
    ['user.localpart.liek("x")', 'liek() is not known; did you mean like?'],
    ['cdir(request.ip, networks.office)', 'cdir() is not known; did you mean cidr?'],
    ['user.localpart == 1', 'no such overload: string == int'],
    ['user.localpart', 'gives a string; write a condition that is true or false'],
    ['user.admin &&', 'Unexpected token: EOF'],
  ])('%s: %s', async (when, message) => {
    expect(await problem(when)).toContain(message)
  })

  test('a condition over several lines is told by its own line', async () => {
    const text =
      'on: password_login\nrules:\n  - id: one\n    then: deny\n    when: |-\n      user.admin ||\n      usr.mfa\n'
    expect((await problems('rules.yaml', text))[0]).toContain('rules.yaml:7:7: rule one: variable usr')
  })

  test('keys, decisions, outcomes and duplicates are told too, all at once and of every file', async () => {
    await folder.put('a.yaml', 'on: pasword_login\nrules: []\n')
    await folder.put('b.yaml', 'on: password_login\nrules:\n  - id: x\n    wen: "true"\n    then: denny\n')
    await folder.put('c.yaml', 'on: password_login\nrules:\n  - { id: same, then: deny }\n')
    await folder.put('d.yaml', 'on: compat_login\nrules:\n  - { id: same, then: deny }\n')
    const found = (await problems('e.yaml', 'on: [')).map((one) => one.split('\n')[0])
    expect(found).toEqual([
      'a.yaml:1:5: the decision pasword_login is not known; did you mean password_login?',
      expect.stringMatching(/^b\.yaml:5:11: "then" denny is not known; did you mean deny\?/),
      'b.yaml:4:5: "wen" is not known; did you mean when?',
      'd.yaml:3:1: the id same is taken by a rule in c.yaml:3; each rule needs its own',
      expect.stringMatching(/^e\.yaml:1:/),
    ])
  })

  test('a session limit needs a number, and a soft one below the hard one', async () => {
    const [none] = await problems('a.yaml', 'on: session_limit\nrules:\n  - id: x\n')
    expect(none).toContain('needs soft, hard or both')
    const [above] = await problems('a.yaml', 'on: session_limit\nrules:\n  - { id: x, soft: 3, hard: 2 }\n')
    expect(above).toContain('has a soft limit above the hard one')
    const [verb] = await problems('a.yaml', 'on: session_limit\nrules:\n  - { id: x, then: deny }\n')
    expect(verb).toContain('"then" is not known')
  })

  test('a folder that is not there is a problem, and no rules are none', async () => {
    expect(await loadRules({ folder: undefined, networks })).toEqual([])
    expect(await loadRules({ folder: folder.path, networks })).toEqual([])
    await expect(loadRules({ folder: `${folder.path}/none`, networks })).rejects.toThrow('ENOENT')
  })
})
