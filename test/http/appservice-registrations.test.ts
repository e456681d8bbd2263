import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { createAppservices } from '../../src/appservices/appservices.ts'
import { type Config, ConfigError, loadConfig } from '../../src/config/index.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-appservices-'))
})
afterEach(() => rm(folder, { recursive: true }))

const REGISTRATION = {
  id: 'telegram',
  as_token: 'as-token-of-telegram',
  hs_token: 'hs-token-of-telegram',
  url: 'http://localhost:29317',
  sender_localpart: 'telegrambot',
  rate_limited: false,
  namespaces: {
    users: [{ regex: '^@telegram_.*:example\\.org$', exclusive: true }],
    aliases: [{ regex: '^#telegram_.*$', exclusive: true }],
  },
}

async function load(...registrations: (object | string)[]): Promise<Config> {
  const files: string[] = []
  for (const [index, registration] of registrations.entries()) {
    files.push(`bridge-${index}.yaml`)
    const text = typeof registration === 'string' ? registration : stringify(registration)
    await writeFile(join(folder, `bridge-${index}.yaml`), text)
  }
  const config = { matrix: { server_name: 'example.org' }, appservices: { registration_files: files } }
  await writeFile(join(folder, 'postern.yaml'), stringify(config))
  return loadConfig({ env: {}, cwd: folder })
}

async function problems(...registrations: (object | string)[]): Promise<readonly string[]> {
  try {
    await load(...registrations)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

async function appservices(...registrations: object[]) {
  const config = await load(...registrations)
  return createAppservices({ appservices: config.appservices, serverName: config.matrix.server_name })
}

test('a registration file as bridges write it is read, relative to the configuration', async () => {
  const config = await load(REGISTRATION)
  expect(
    config.appservices.map(({ id, senderLocalpart, managesDevices }) => [
      id,
      senderLocalpart,
      managesDevices,
    ]),
  ).toEqual([['telegram', 'telegrambot', false]])
})

test('without an address for events, and with the switch of MSC4190, it is read too', async () => {
  const config = await load({ ...REGISTRATION, url: null, 'io.element.msc4190': true })
  expect(config.appservices[0]?.managesDevices).toBe(true)
})

test('an appservice is found by its token alone, which the configuration does not keep', async () => {
  const config = await load(REGISTRATION)
  const known = createAppservices({ appservices: config.appservices, serverName: 'example.org' })
  expect(known.byToken('as-token-of-telegram')?.id).toBe('telegram')
  for (const wrong of ['hs-token-of-telegram', 'as-token-of-telegra', 'as-token-of-telegram ', ''])
    expect(known.byToken(wrong)).toBeUndefined()
  expect(JSON.stringify(config)).not.toContain('token-of-telegram')
})

test('its users are its bot and those whose user ID its patterns match from the start', async () => {
  const known = await appservices({
    ...REGISTRATION,
    namespaces: {
      users: [
        { regex: '@telegram_', exclusive: true },
        { regex: '@shared_.+:example\\.org', exclusive: false },
      ],
    },
  })
  const one = known.byToken('as-token-of-telegram')!
  for (const its of ['telegrambot', 'telegram_1', 'telegram_', 'shared_x'])
    expect(known.owns(one, its)).toBe(true)
  for (const not of ['alice', 'telegrambot2', 'Telegrambot', 'TELEGRAM_1', 'a@telegram_1', 'shared_', ''])
    expect(known.owns(one, not)).toBe(false)
})

test('a pattern that would keep a backtracking engine busy for years is answered at once', async () => {
  const known = await appservices({
    ...REGISTRATION,
    namespaces: { users: [{ regex: '@(a+)+(a|aa)+(a*)*:never', exclusive: true }] },
  })
  const started = performance.now()
  expect(known.owns(known.byToken('as-token-of-telegram')!, 'a'.repeat(230))).toBe(false)
  expect(performance.now() - started).toBeLessThan(500)
})

test('everything that is wrong with a file is told with its line, its member and what to write instead', async () => {
  const file = join(folder, 'bridge-0.yaml')
  const where = 'postern.yaml:5: appservices.registration_files[0]:'
  const found = await problems(
    [
      'id: tele|gram',
      'as_token: 12',
      'sender_localpart: "telegram bot"',
      'namespaces:',
      '  users:',
      '    - regex: "@(?!x)"',
      '      exclusive: true',
      '    - regex: "@x"',
      'io.element.msc4190: maybe',
    ].join('\n'),
  )
  expect(found).toEqual([
    `${where} ${file}:1: id: has a "|", which Synapse refuses; write the name of the appservice instead`,
    `${where} ${file}:2: as_token: is not a text (numbers and words like "yes" need quotes); write the as_token that the appservice has, in quotes instead`,
    `${where} ${file}:1: hs_token: is missing; write the hs_token that the appservice has, in quotes instead`,
    `${where} ${file}:3: sender_localpart: has characters that Synapse refuses there; write the localpart of the bot, such as telegrambot instead`,
    `${where} ${file}:6: namespaces.users[0].regex: is not a usable pattern (error parsing regexp: invalid or unsupported Perl syntax: \`(?!\`); write a regular expression without lookaround, backreferences and \\Z instead`,
    `${where} ${file}:8: namespaces.users[1].exclusive: is missing; write true or false instead`,
    `${where} ${file}:9: io.element.msc4190: is not true or false; write true or false instead`,
  ])
})

test.each([
  ['no YAML', 'id: [1'],
  ['a list', '- id: x'],
  ['nothing', ''],
  ['a mapping without namespaces', stringify({ ...REGISTRATION, namespaces: undefined })],
])('%s is no registration file', async (_, text) => {
  expect((await problems(text))[0]).toContain(join(folder, 'bridge-0.yaml'))
})

test('a file that is not there is named', async () => {
  await writeFile(join(folder, 'postern.yaml'), 'appservices: {registration_files: [nowhere.yaml]}')
  await expect(loadConfig({ env: {}, cwd: folder })).rejects.toThrow(
    `names the file ${join(folder, 'nowhere.yaml')}, which cannot be read (ENOENT); write the path`,
  )
})

test('two appservices with one name or one token are refused, and no token is repeated', async () => {
  const found = await problems(REGISTRATION, { ...REGISTRATION, sender_localpart: 'other' })
  expect(found).toHaveLength(2)
  expect(found[0]).toContain('bridge-1.yaml: id: is that of another file too')
  expect(found[1]).toContain('bridge-1.yaml: as_token: is that of another file too')
  const all = [...found, ...(await problems({ ...REGISTRATION, as_token: ['as-token-of-telegram'] }))]
  expect(all.join('\n')).not.toContain('token-of-telegram')
})
