import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCommand } from '../support/command.ts'
import { createPolicyFolder, type PolicyFolder } from '../support/policies.ts'

const SAMPLES = resolve(import.meta.dirname, '../../policies')

let folder: string
let policies: PolicyFolder

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-policy-cli-'))
  policies = await createPolicyFolder()
  await configure(policies.path)
})
afterEach(async () => {
  await rm(folder, { recursive: true })
  await policies.remove()
})

const configure = (rules: string) =>
  writeFile(
    join(folder, 'postern.yaml'),
    `policies: { folder: ${rules}, networks: { office: [10.0.0.0/8] } }\n`,
  )
const postern = (args: string[], input = '') => runCommand(args, { cwd: folder, input })

const RULES = [
  { id: 'no-bots', when: 'user.localpart.startsWith("bot")', outcome: 'deny', message: 'No bots.' },
  { id: 'away', when: '!cidr(request.ip, networks.office)', outcome: 'require_mfa' },
]

describe('policy test', () => {
  test('runs the cases beside the rules', async () => {
    await policies.rules('password_login', RULES)
    await policies.put(
      'a.test.yaml',
      `- on: password_login
  input: { user: { localpart: bot1 }, request: { ip: 10.0.0.1 } }
  expect: [no-bots]
- on: password_login
  input: { user: { localpart: bot1 }, request: { ip: 192.0.2.1 } }
  expect: [away, no-bots]
`,
    )
    expect(await postern(['policy', 'test'])).toMatchObject({
      code: 0,
      out: 'The rules are right: 2 cases passed.',
    })
  })

  test('says of a case that fails what was expected and what matched, and exits with 1', async () => {
    await policies.rules('password_login', RULES)
    await policies.put(
      'a.test.yaml',
      `- name: a bot
  on: password_login
  input: { user: { localpart: bot }, request: { ip: 10.0.0.1 } }
  expect: []
- on: password_login
  input: { user: { localpart: bob }, request: { ip: nowhere } }
  expect: [away]
`,
    )
    const { code, out, err } = await postern(['policy', 'test'])
    expect(code).toBe(1)
    expect(out).toContain('FAILED a bot (a.test.yaml:1)\n  expected: no rule\n  matched:  no-bots')
    expect(out).toContain('FAILED a.test.yaml:5')
    expect(out).toContain(
      'could not be evaluated: away: cidr() was given something that is no network address',
    )
    expect(err).toBe('2 of 2 cases failed')
  })

  test('finds typos in rules, in inputs and in expected rules', async () => {
    await policies.rules('password_login', RULES)
    await policies.put(
      'a.test.yaml',
      `- on: password_login
  input: { user: { localprat: bot } }
  expect: []
- on: pasword_login
  expect: []
- on: password_login
  input: {}
  expect: [no-bot]
- on: password_login
  inputs: {}
  expect: []
`,
    )
    const { code, err } = await postern(['policy', 'test'])
    expect(code).toBe(1)
    expect(err).toContain('a.test.yaml:2:20: user.localprat is not known; did you mean localpart?')
    expect(err).toContain(
      'a.test.yaml:4:7: the decision pasword_login is not known; did you mean password_login?',
    )
    expect(err).toContain('a.test.yaml:8:12: the rule no-bot is not known; did you mean no-bots?')
    expect(err).toContain('a.test.yaml:10:3: "inputs" is not known; did you mean input?')

    await policies.rules('password_login', [{ id: 'x', when: 'user.admn', outcome: 'deny' }])
    expect((await postern(['policy', 'test'])).err).toContain('user.admn is not known; did you mean admin?')
  })

  test('wants a folder of rules', async () => {
    await writeFile(join(folder, 'postern.yaml'), '')
    expect(await postern(['policy', 'test'])).toMatchObject({
      code: 1,
      err: 'Set policies.folder: there are no rules',
    })
  })

  test('passes for the sample policies', async () => {
    await configure(SAMPLES)
    const { code, out, err } = await postern(['policy', 'test'])
    expect(err).toBe('')
    expect(out).toBe('The rules are right: 6 cases passed.')
    expect(code).toBe(0)
  })
})

describe('policy explain', () => {
  test('shows what is decided, and which rule decided it and where it stands', async () => {
    await policies.rules('password_login', RULES)
    await writeFile(join(folder, 'input.json'), '{"user":{"localpart":"bot"},"request":{"ip":"192.0.2.1"}}')
    const args = ['policy', 'explain', '--on', 'password_login', '--input', 'input.json']
    const { code, out } = await postern(args)
    expect(code).toBe(0)
    expect(out.split('\n')).toEqual([
      'decision: deny',
      'message: No bots.',
      `no-bots (${policies.path}/password_login.yaml:3): matches: deny`,
      `away (${policies.path}/password_login.yaml:7): matches: require_mfa`,
    ])
  })

  test('shows a rule that fails, and reads standard input', async () => {
    await policies.rules('password_login', RULES)
    const args = ['policy', 'explain', '--on', 'password_login', '--input', '-']
    const { out } = await postern(args, 'request: { ip: nowhere }')
    expect(out).toContain('decision: deny')
    expect(out).toContain('does not match (deny)')
    expect(out).toContain('failed, denies: cidr() was given something that is no network address')
  })

  test('shows the session limit that counts', async () => {
    await policies.rules('session_limit', [{ id: 'few', soft: 2, hard: 3 }])
    const { out } = await postern(['policy', 'explain', '--on', 'session_limit', '--input', '-'])
    expect(out).toContain('limit: soft 2, hard 3, at hard refuse')
  })

  test('refuses a decision and an input that it does not know', async () => {
    const unknown = await postern(['policy', 'explain', '--on', 'login', '--input', '-'])
    expect(unknown.code).toBe(1)
    expect(unknown.err).toContain('password_login')
    const args = ['policy', 'explain', '--on', 'password_login', '--input']
    expect((await postern([...args, '-'], 'user: { name: x }')).err).toContain('user.name is not known')
    expect((await postern([...args, 'nothing.yaml'])).err).toContain('cannot be read (ENOENT)')
  })
})

test('config check names the rules, and what is wrong with them', async () => {
  await policies.rules('password_login', RULES)
  expect((await postern(['config', 'check'])).out).toContain(`policies: 2 rules, in ${policies.path}`)
  await policies.rules('password_login', [{ id: 'x', when: 'usr.admin', outcome: 'deny' }])
  const broken = await postern(['config', 'check'])
  expect(broken.code).toBe(1)
  expect(broken.err).toContain(
    'password_login.yaml:4:11: rule x: variable usr is not known; did you mean user?',
  )
})

test('networks are checked with the configuration', async () => {
  const check = async (networks: string) => {
    await writeFile(join(folder, 'postern.yaml'), `policies: { networks: ${networks} }\n`)
    return (await postern(['config', 'check'])).err
  }
  expect(await check('{ office: [10.0.0.0] }')).toContain('policies.networks.office[0]: has no prefix length')
  expect(await check('{ office: 10.0.0.0/8 }')).toContain(
    'write a list such as [10.0.0.0/8, fd00::/8] instead',
  )
  expect(await check('{ "my office": [] }')).toContain('my office')
})
