import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { runCommand } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { addUser, introspect, obtainTokens, refresh, registerClient, type Tokens } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let folder: string
let backup: string
let live: TestPostern
let clientId: string
let tokens: Tokens

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-archive-'))
  await chmod(folder, 0o711)
  backup = join(folder, 'backup.gz')
  live = await startPostern()
  await addUser(live, 'alice')
  clientId = await registerClient(live)
  tokens = await obtainTokens(live, clientId, 'alice')
  // What stands in a text must not be taken for the archive's own marks.
  await live.db('sessions').update({ name: 'tab\there, line\nthere, \\.\n and \\N' })
  // A job that the homeserver does not take yet.
  live.homeserver.trouble('cut', 'delete_device')
  const doomed = await obtainTokens(live, clientId, 'alice', {
    params: { scope: 'urn:matrix:client:api:* urn:matrix:client:device:DOOMEDDOOM' },
  })
  await fetch(`${live.url}oauth2/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token: doomed.refresh_token ?? '', client_id: clientId }),
  })
  const { code, err } = await databaseOf(live.config.database.uri ?? '')('backup', backup)
  if (code !== 0) throw new Error(err)
}, 180_000)
afterAll(async () => {
  await live.close()
  await rm(folder, { recursive: true, force: true })
})

let empty: TestDatabase
beforeEach(async () => {
  empty = await createTestDatabase({ empty: true })
  return () => empty.close()
})

/** Runs `postern database …` on one database. */
function databaseOf(uri: string) {
  return (...args: string[]) =>
    runCommand(['database', ...args], { cwd: folder, env: { POSTERN_DATABASE__URI: uri } })
}

/** Runs `postern database …` on an embedded database in a data folder of its own. */
function embeddedIn(name: string) {
  const env = { POSTERN_DATA_FOLDER: join(folder, name) }
  return (...args: string[]) => runCommand(['database', ...args], { cwd: folder, env })
}

/** Starts a server on a restored database, and sees that nobody was signed out. */
async function expectTokensToWork(uri: string): Promise<void> {
  const postern = await startPostern({ config: { database: { uri } } })
  try {
    expect((await introspect(postern, tokens.access_token)).body).toMatchObject({ active: true })
    const refreshed = await refresh(postern, clientId, tokens.refresh_token ?? '')
    expect(refreshed.status).toBe(200)
    // The job that was not done is done now.
    const asked = () => postern.homeserver.calls.map(({ name }) => name).join()
    await expect.poll(asked, { timeout: 15_000 }).toContain('delete_device')
  } finally {
    await postern.close()
  }
}

test('a backup of a running server restores into an empty database, where tokens and jobs still work', {
  timeout: 180_000,
}, async () => {
  expect(((await stat(backup)).mode & 0o777).toString(8)).toBe('600')
  expect(await databaseOf(empty.uri)('restore', backup)).toMatchObject({ code: 0, err: '' })
  const name = (db: TestDatabase['knex']) => db('sessions').whereNull('ended_at').pluck('name')
  expect(await name(empty.knex)).toEqual(await name(live.db))
  // The job that tells the homeserver of a user may have run since.
  const rows = async (db: TestDatabase['knex'], table: string) =>
    (await db(table).select().orderBy(1)).map((row) => ({ ...row, provisioned_at: undefined }))
  for (const table of ['users', 'user_passwords', 'clients', 'sessions', 'tokens', 'audit_events'])
    expect(await rows(empty.knex, table)).toEqual(await rows(live.db, table))
  await expectTokensToWork(empty.uri)
})

test('a backup restores into an embedded database, and that moves to an external one', {
  timeout: 120_000,
}, async () => {
  const embedded = embeddedIn('embedded')
  expect(await embedded('restore', backup)).toMatchObject({ code: 0, err: '' })
  expect((await embedded('restore', backup)).err).toContain('The database is not empty')
  expect((await embedded('move', '--to', empty.uri)).code).toBe(0)
  expect(await empty.knex('users').pluck('localpart')).toEqual(['alice'])
  expect((await embedded('move', '--to', empty.uri)).err).toContain('The database is not empty')
  await expectTokensToWork(empty.uri)
})

test('neither restore nor move touch a database that a server runs on', async () => {
  const { uri = '' } = live.config.database
  const stop = 'A postern server runs on this database: stop it first'
  expect((await databaseOf(uri)('restore', backup)).err).toContain(stop)
  expect((await databaseOf(uri)('move', '--to', empty.uri)).err).toContain(stop)
  expect((await databaseOf(empty.uri)('move', '--to', uri)).err).toContain(stop)
})

test('a backup never replaces a file', async () => {
  const before = await readFile(backup)
  const { code, err } = await databaseOf(live.config.database.uri ?? '')('backup', backup)
  expect(code).toBe(1)
  expect(err).toContain('is there already')
  expect(await readFile(backup)).toEqual(before)
})

/** The same archive with other text, as a file. */
const changed = (change: (text: string) => string) => (file: Buffer) =>
  gzipSync(change(gunzipSync(file).toString('latin1')), {})
const flipped = (file: Buffer, at: number) =>
  Buffer.from(file.map((byte, index) => (index === at ? ~byte : byte)))
/** Puts the right sum below text that was changed. */
const summed = (text: string) => {
  const body = text.slice(0, text.lastIndexOf('{"sha256"'))
  return `${body}{"sha256":"${createHash('sha256').update(body, 'latin1').digest('hex')}"}\n`
}

test.each<[string, (file: Buffer) => Buffer, string]>([
  ['with a byte flipped in the middle', (file) => flipped(file, file.length >> 1), 'damaged'],
  ['that is cut off', (file) => file.subarray(0, file.length - 100), 'damaged'],
  ['without its sum', changed((text) => text.slice(0, text.lastIndexOf('{"sha256"'))), 'cut off'],
  [
    'with another name in it',
    changed((text) => text.replaceAll('\talice\t', '\tmallo\t')),
    'its sum is another',
  ],
  ['with something after its end', changed((text) => `${text}more\n`), 'something follows'],
  ['of a newer schema', changed((text) => text.replace('0001_initial', '9999_newer')), '9999_newer'],
  [
    'with a row of a stranger',
    changed((text) => summed(text.replace(/("table":"user_passwords".*\n)[0-9a-f]{8}/, '$100000000'))),
    'damaged',
  ],
  ['that is something else', () => gzipSync('{"hello":1}\n'), 'no backup of Postern'],
  ['that is not compressed', () => Buffer.from('hello'), 'damaged'],
])('a backup %s is refused whole', async (_what, damage, reason) => {
  const file = join(folder, 'damaged.gz')
  await writeFile(file, damage(await readFile(backup)))
  const { code, err } = await databaseOf(empty.uri)('restore', file)
  expect(code).toBe(1)
  expect(err).toContain(reason)
  const { rows } = await empty.knex.raw(`select to_regclass('users') is not null as made`)
  if (rows[0].made)
    for (const table of ['users', 'tokens', 'clients']) expect(await empty.knex(table)).toEqual([])
  expect((await databaseOf(empty.uri)('restore', backup)).code).toBe(0)
})
