import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint } from 'jose'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Config, loadConfig } from '../../src/config/index.ts'
import { KeyError, loadSecrets } from '../../src/keys/index.ts'

let folder: string
let config: Config

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-keys-'))
  config = await loadConfig({ env: {}, cwd: folder })
})
afterEach(() => rm(folder, { recursive: true }))

const clock = { now: () => new Date('2026-03-04T05:06:07Z') }
const keysFolder = () => join(folder, 'data', 'keys')

async function putKey(name: string, pem: string): Promise<void> {
  await mkdir(keysFolder(), { recursive: true })
  await writeFile(join(keysFolder(), name), pem)
}

function pem(type: 'rsa' | 'ec', option: number | string): string {
  const { privateKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: Number(option) })
      : generateKeyPairSync('ec', { namedCurve: String(option) })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

test('the first start makes a master secret and one key of each algorithm, for the owner only', async () => {
  const secrets = await loadSecrets(config, clock)
  expect(secrets.master).toHaveLength(32)
  expect(secrets.signingKeys.map(({ kty, alg, use }) => ({ kty, alg, use }))).toEqual([
    { kty: 'EC', alg: 'ES256', use: 'sig' },
    { kty: 'RSA', alg: 'RS256', use: 'sig' },
  ])
  for (const key of secrets.signingKeys) expect(key.kid).toBe(await calculateJwkThumbprint(key))
  expect(await readdir(keysFolder())).toEqual(['2026-03-04-es256.pem', '2026-03-04-rs256.pem'])
  const modes = ['master-secret', 'keys', 'keys/2026-03-04-rs256.pem'].map(async (path) =>
    ((await stat(join(config.data_folder, path))).mode & 0o777).toString(8),
  )
  expect(await Promise.all(modes)).toEqual(['600', '700', '600'])
  const dataFolder = (await stat(config.data_folder)).mode & 0o777
  expect(dataFolder).toBe(process.getuid?.() === 0 ? 0o711 : 0o700)
})

test('the next start finds the same secrets', async () => {
  const first = await loadSecrets(config, clock)
  const second = await loadSecrets(config, { now: () => new Date('2027-01-01T00:00:00Z') })
  expect(second.master).toEqual(first.master)
  expect(second.signingKeys).toEqual(first.signingKeys)
})

test('ten first starts at once end with the same secrets', async () => {
  const all = await Promise.all(Array.from({ length: 10 }, () => loadSecrets(config, clock)))
  for (const secrets of all) {
    expect(secrets.master).toEqual(all[0]?.master)
    expect(secrets.signingKeys).toEqual(all[0]?.signingKeys)
  }
  expect(await readdir(keysFolder())).toHaveLength(2)
  expect((await readdir(config.data_folder)).sort()).toEqual(['keys', 'master-secret'])
})

test('a master secret of the configuration is used as it is', async () => {
  const master = 'ab'.repeat(32)
  config = { ...config, secrets: { ...config.secrets, master } }
  expect((await loadSecrets(config, clock)).master.toString('hex')).toBe(master)
  expect(await readdir(config.data_folder)).toEqual(['keys'])
})

test('derived keys differ by purpose and secret, and stay the same', async () => {
  const { derive } = await loadSecrets(config, clock)
  expect(derive('cookies')).toEqual(derive('cookies'))
  expect(derive('cookies')).not.toEqual(derive('codes'))
  expect(derive('cookies')).toHaveLength(32)
  expect(derive('cookies', 64)).toHaveLength(64)
  config = { ...config, secrets: { ...config.secrets, master: '00'.repeat(32) } }
  const fixed = await loadSecrets(config, clock)
  expect(fixed.derive('cookies')).not.toEqual(derive('cookies'))
})

test('the first key of each algorithm by file name comes first', async () => {
  const rsa = pem('rsa', 3072)
  await putKey('2020-old.pem', rsa)
  await putKey('2030-new.pem', pem('rsa', 2048))
  const { signingKeys } = await loadSecrets(config, clock)
  const rs256 = signingKeys.filter(({ alg }) => alg === 'RS256')
  expect(rs256).toHaveLength(2)
  expect(Buffer.from(rs256[0]?.n ?? '', 'base64url')).toHaveLength(384)
})

test.each([
  ['rsa', 1024],
  ['ec', 'P-384'],
  ['ec', 'secp256k1'],
] as const)('a key of kind %s %s is refused and stays', async (type, option) => {
  await putKey('bad.pem', pem(type, option))
  await expect(loadSecrets(config, clock)).rejects.toThrow(
    `${join(keysFolder(), 'bad.pem')}: is a key of a kind that is not used here; replace it`,
  )
  expect(await readdir(keysFolder())).toEqual(['bad.pem'])
})

test('a damaged key is an error with its path, and never replaced', async () => {
  await loadSecrets(config, clock)
  const path = join(keysFolder(), '2026-03-04-rs256.pem')
  await writeFile(path, 'damaged')
  const loading = loadSecrets(config, clock)
  await expect(loading).rejects.toBeInstanceOf(KeyError)
  await expect(loading).rejects.toThrow(`${path}: is not an unencrypted private key in PEM form; restore it`)
  expect(await readFile(path, 'utf8')).toBe('damaged')
})

test.each(['', 'short', 'zz'.repeat(32)])(
  'the master secret "%s" is an error, and never replaced',
  async (content) => {
    await loadSecrets(config, clock)
    const path = join(config.data_folder, 'master-secret')
    await writeFile(path, content)
    await expect(loadSecrets(config, clock)).rejects.toThrow(
      `${path}: is not 64 hexadecimal digits; restore it`,
    )
    expect(await readFile(path, 'utf8')).toBe(content)
  },
)

test('a data folder that cannot be made is an error with its path', async () => {
  await writeFile(join(folder, 'data'), 'a file')
  await expect(loadSecrets(config, clock)).rejects.toThrow(`${join(folder, 'data')}: cannot be made (EEXIST)`)
})

// Root may read everything.
test.skipIf(process.getuid?.() === 0)('a key that may not be read is an error with its path', async () => {
  await loadSecrets(config, clock)
  const path = join(keysFolder(), '2026-03-04-rs256.pem')
  await chmod(path, 0o000)
  await expect(loadSecrets(config, clock)).rejects.toThrow(`${path}: cannot be read (EACCES)`)
})
