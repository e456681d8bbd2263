import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runCommand } from '../support/command.ts'
import { addUser, deviceScope, obtainTokens, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const HOUR = 3600
const DAY = 24 * HOUR

let postern: TestPostern
let folder: string

beforeEach(async () => {
  postern = await startPostern()
  folder = postern.config.secrets.keys_folder
})
afterEach(async () => {
  vi.useRealTimers()
  await postern.close()
})

function command(...args: string[]) {
  return runCommand(['--config', postern.file, ...args], { cwd: dirname(postern.file) })
}

async function keySet(of: Pick<TestPostern, 'url'> = postern): Promise<JSONWebKeySet> {
  return (await (await fetch(`${of.url}oauth2/keys.json`)).json()) as JSONWebKeySet
}

async function idsOf(alg: string): Promise<(string | undefined)[]> {
  return (await keySet()).keys.filter((key) => key.alg === alg).map(({ kid }) => kid)
}

/** Signs in anew, on a device of its own, and returns the id_token. */
async function idToken(clientId: string, device: string): Promise<string> {
  const scope = `openid urn:matrix:client:api:* ${deviceScope(device)}`
  const { id_token = '' } = await obtainTokens(postern, clientId, 'alice', { params: { scope } })
  return id_token
}

test.each(['RS256', 'ES256'])(
  'check 49: a new %s key is published before it signs, and the old one as long as what it signed counts',
  async (alg) => {
    await addUser(postern, 'alice')
    const clientId = await registerClient(postern, { id_token_signed_response_alg: alg })
    const [old] = await idsOf(alg)
    expect((await command('keys', 'rotate')).code).toBe(0)
    await postern.reload()
    const announced = (await idsOf(alg)).find((kid) => kid !== old)
    expect(announced).toBeTruthy()
    const before = await idToken(clientId, 'BEFOREBEFORE')
    expect(decodeProtectedHeader(before).kid).toBe(old)

    postern.clock.advance(DAY)
    await postern.reload()
    const after = await idToken(clientId, 'AFTERAFTER')
    expect(decodeProtectedHeader(after).kid).toBe(announced)
    expect(await idsOf(alg)).toEqual([announced, old])
    const published = createLocalJWKSet(await keySet())
    for (const token of [before, after])
      expect((await jwtVerify(token, published, { issuer: postern.url })).payload.aud).toBe(clientId)

    postern.clock.advance(30 * DAY)
    await postern.reload()
    expect(await idsOf(alg)).toEqual([announced])
  },
)

test('an app can sign out with an id_token that a retired key signed', async () => {
  await addUser(postern, 'alice')
  const clientId = await registerClient(postern)
  const hint = await idToken(clientId, 'HINTHINTHI')
  await command('keys', 'rotate', '--now')
  await postern.reload()
  expect((await fetch(`${postern.url}oauth2/logout?id_token_hint=${hint}`)).status).toBe(200)
})

test('replicas that share the folder take up an announced key by themselves within a minute', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const second = await startPostern({ beside: postern })
  try {
    await command('keys', 'rotate')
    expect((await keySet(second)).keys).toHaveLength(2)
    vi.advanceTimersByTime(60_000)
    await expect.poll(async () => (await keySet(second)).keys.length).toBe(4)
    await postern.reload()
    expect(await keySet(second)).toEqual(await keySet())
  } finally {
    await second.close()
  }
})

test('keys list shows every stage, and rotate announces once and lets keys sign at once where told to', async () => {
  await command('keys', 'rotate', '--announce', '48')
  const again = await command('keys', 'rotate')
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining('Keys are announced already') })
  expect((await command('keys', 'rotate', '--announce', '0')).code).toBe(1)
  expect((await command('keys', 'rotate', '--now')).code).toBe(0)
  const listed = JSON.parse((await command('keys', 'list', '--json')).out) as Record<string, string>[]
  const stages = listed.filter(({ alg }) => alg === 'ES256').map(({ stage }) => stage)
  expect(stages.toSorted()).toEqual(['announced', 'retired', 'signing'])
})

test('rotate removes keys that expired, and no others', async () => {
  const long = new Date(Date.now() - 40 * DAY * 1000).toISOString()
  const first = await readdir(folder)
  await command('keys', 'rotate', '--now')
  // As if that rotation had been forty days ago.
  const second = (await readdir(folder)).filter((name) => !first.includes(name))
  for (const name of second) {
    const pem = await readFile(join(folder, name), 'utf8')
    await writeFile(join(folder, name), pem.replace(/^Signs-From: .+$/m, `Signs-From: ${long}`))
  }
  const { out } = await command('keys', 'rotate')
  for (const name of first) expect(out).toContain(`removed ${name}`)
  const left = await readdir(folder)
  expect(left).toHaveLength(4)
  expect(left).toEqual(expect.arrayContaining(second))
})

test('a key that cannot be read is logged at a reload, and the keys stay as they were', async () => {
  const before = await keySet()
  await writeFile(join(folder, 'a-new-one.pem'), 'damaged')
  const parts = await postern.reload()
  const fault = parts.find(({ part }) => part === 'signing keys')?.fault
  expect(fault).toContain(`${join(folder, 'a-new-one.pem')}: is not an unencrypted private key`)
  expect(parts).toContainEqual({ part: 'pages' })
  expect(postern.logged.join()).toContain('reload.refused')
  expect(await keySet()).toEqual(before)
})

test('a folder without a key that signs is refused at a reload, and none is made', async () => {
  const before = await keySet()
  const name = (await readdir(folder)).find((one) => one.includes('rs256')) ?? ''
  await rm(join(folder, name))
  const parts = await postern.reload()
  expect(parts.find(({ part }) => part === 'signing keys')?.fault).toContain('no key that signs with RS256')
  expect(await keySet()).toEqual(before)
  expect(await readdir(folder)).toHaveLength(1)
})

test('a key with a time that is none is an error that says what to write', async () => {
  const [name = ''] = await readdir(folder)
  const pem = await readFile(join(folder, name), 'utf8')
  await writeFile(join(folder, name), `Signs-From: tomorrow\n${pem}`)
  expect((await command('keys', 'list')).err).toContain(
    'Signs-From: tomorrow, which is no time; write one such as',
  )
})
