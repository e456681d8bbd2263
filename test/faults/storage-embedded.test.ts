import { realpathSync } from 'node:fs'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ready } from '../../src/storage/availability.ts'
import { holdServerLock } from '../../src/storage/connection.ts'
import { canReach } from '../../src/storage/embedded/account.ts'
import { StorageError } from '../../src/storage/storage-error.ts'
import {
  end,
  folderWithDatabase,
  openElsewhere,
  openHere,
  postgresPid,
  temporaryFolder,
} from '../support/embedded.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65534

test('what was committed is there after a restart, and nothing runs in between', async () => {
  const folder = await temporaryFolder()
  const first = await openHere(join(folder, 'data'))
  await first.knex.raw('create table kept (word text)')
  await first.knex('kept').insert({ word: 'gatehouse' })
  await first.close()
  expect(await postgresPid(join(folder, 'data'))).toBeUndefined()

  const second = await openHere(join(folder, 'data'))
  expect(await second.knex('kept').select('word')).toEqual([{ word: 'gatehouse' }])
})

test('the embedded database is UTF-8, durable, and reachable through its private socket only', async () => {
  const folder = await folderWithDatabase()
  const { knex } = await openHere(folder)
  const { rows } = await knex.raw(`
    select current_setting('listen_addresses') as tcp, current_setting('fsync') as fsync,
           current_setting('synchronous_commit') as commits, current_setting('server_encoding') as encoding,
           (select datcollate from pg_database where datname = current_database()) as collation`)
  expect(rows).toEqual([{ tcp: '', fsync: 'on', commits: 'on', encoding: 'UTF8', collation: 'C' }])
  expect((await stat(join(folder, 'postgres/socket'))).mode & 0o777).toBe(0o700)
  expect((await stat(join(folder, 'postgres/cluster'))).mode & 0o777).toBe(0o700)
  expect((await stat(join(folder, 'database-password'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder, 'postgres.log'))).mode & 0o777).toBe(0o600)
})

test('a database that a killed process left running is adopted, and stopped by its last user', async () => {
  const folder = await folderWithDatabase()
  await end(await openElsewhere(folder, { role: 'server' }), 'SIGKILL')
  const left = await postgresPid(folder)
  expect(left).toBeGreaterThan(0)

  const database = await openHere(folder)
  await holdServerLock(database)
  expect(await postgresPid(folder)).toBe(left)
  await database.close()
  expect(await postgresPid(folder)).toBeUndefined()
})

test('a second server on the same data folder is refused and told which', async () => {
  const folder = await folderWithDatabase()
  await openElsewhere(folder, { role: 'server' })
  const second = await openHere(folder)
  await expect(holdServerLock(second)).rejects.toThrow(StorageError)
  await expect(holdServerLock(second)).rejects.toThrow(`Another postern server already runs on ${folder}`)
})

test('a command beside a running server does not stop its database, nor the server the command’s', async () => {
  const folder = await folderWithDatabase()
  const server = await openElsewhere(folder, { role: 'server' })
  const pid = await postgresPid(folder)

  const command = await openHere(folder)
  await command.close()
  expect(await postgresPid(folder)).toBe(pid)

  const longCommand = await openHere(folder)
  await end(server, 'SIGTERM')
  expect(await postgresPid(folder)).toBe(pid)
  expect(await ready(longCommand)).toBe(true)

  await longCommand.close()
  expect(await postgresPid(folder)).toBeUndefined()
})

test('processes that start at once on an empty folder share one database', async () => {
  const folder = await temporaryFolder()
  const all = await Promise.all([openElsewhere(folder), openElsewhere(folder), openElsewhere(folder)])
  expect((await readdir(join(folder, 'postgres'))).toSorted()).toEqual(['cluster', 'socket'])
  await Promise.all(all.map((child) => end(child, 'SIGTERM')))
  expect(await postgresPid(folder)).toBeUndefined()
})

test('an initdb that was interrupted leaves nothing that stops the next start', async () => {
  const folder = await temporaryFolder()
  const half = join(folder, 'postgres/cluster.new-999999999')
  await mkdir(half, { recursive: true })
  await chmod(join(folder, 'postgres'), 0o700)
  await writeFile(join(half, 'PG_VERSION'), '18\n')

  expect(await ready(await openHere(folder))).toBe(true)
  expect((await readdir(join(folder, 'postgres'))).toSorted()).toEqual(['cluster', 'socket'])
})

test('a stale postmaster.pid whose number belongs to another program by now is no obstacle', async () => {
  const folder = await folderWithDatabase()
  await writeFile(join(folder, 'postgres/cluster/postmaster.pid'), `${process.ppid}\n/nowhere\n0\n5432\n`)
  expect(await ready(await openHere(folder))).toBe(true)
})

test('a database that dies is started again, and its server keeps its place', async () => {
  const folder = await folderWithDatabase()
  const database = await openHere(folder)
  await holdServerLock(database)
  const pid = (await postgresPid(folder))!
  process.kill(pid, 'SIGKILL')

  await expect.poll(() => ready(database), { timeout: 15_000 }).toBe(true)
  expect(await postgresPid(folder)).not.toBe(pid)
  // The server takes its place again right after the connection is back.
  const held = () =>
    database
      .knex('pg_locks')
      .where({ locktype: 'advisory', mode: 'ExclusiveLock', granted: true })
      .first('pid')
  await expect.poll(held, { timeout: 15_000 }).toBeTruthy()
  const other = await openHere(folder)
  await expect(holdServerLock(other)).rejects.toThrow('Another postern server already runs')
})

test('a data folder whose path is too long for a socket works', async () => {
  const folder = join(await temporaryFolder(), 'a'.repeat(60), 'ö'.repeat(40))
  const database = await openHere(folder)
  expect(await ready(database)).toBe(true)
  const socketFolder = String(database.clientConfig.host)
  onTestFinished(() => rm(socketFolder, { recursive: true, force: true }))
  expect(Buffer.byteLength(`${socketFolder}/.s.PGSQL.5432`)).toBeLessThanOrEqual(107)
  expect((await stat(socketFolder)).mode & 0o777).toBe(0o700)
})

test('a password file that does not belong to the database is named in the error', async () => {
  const folder = await folderWithDatabase()
  const password = await readFile(join(folder, 'database-password'), 'utf8')
  await writeFile(join(folder, 'database-password'), 'f'.repeat(64))
  await expect(openHere(folder)).rejects.toThrow(/database-password is not the password of the database/)
  await writeFile(join(folder, 'database-password'), password)
  await (await openHere(folder)).close()
})

test.runIf(isRoot)(
  'as root, PostgreSQL runs under another account that owns only its own folder',
  async () => {
    const folder = await folderWithDatabase()
    await openHere(folder)
    expect((await stat(folder)).uid).toBe(0)
    expect((await stat(join(folder, 'database-password'))).uid).toBe(0)
    expect((await stat(join(folder, 'postgres/cluster'))).uid).not.toBe(0)
    expect((await stat(`/proc/${await postgresPid(folder)}`)).uid).not.toBe(0)
  },
)

test.runIf(isRoot)(
  'as root, a data folder that others cannot enter gets its database elsewhere',
  async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o700)
    const data = join(folder, 'data')
    await (await openHere(data)).close()
    expect((await lstat(join(data, 'postgres'))).isSymbolicLink()).toBe(true)
    const elsewhere = await readlink(join(data, 'postgres'))
    onTestFinished(() => rm(elsewhere, { recursive: true, force: true }))
    expect(elsewhere).toMatch(/^\/var\/lib\/postern\/[0-9a-f]{16}$/)

    expect(await ready(await openHere(data))).toBe(true)
    await expect(readlink(join(data, 'postgres'))).resolves.toBe(elsewhere)
  },
)

test.runIf(isRoot)('a database that was kept elsewhere and is gone is reported, not replaced', async () => {
  const folder = await temporaryFolder()
  await chmod(folder, 0o700)
  const data = join(folder, 'data')
  await (await openHere(data)).close()
  const elsewhere = await readlink(join(data, 'postgres'))
  await rm(elsewhere, { recursive: true })
  await expect(openHere(data)).rejects.toThrow(`it was kept in ${elsewhere}, which is gone`)
})

/** A clone below a private folder cannot be run by another account. */
const othersMayRunUs = [process.execPath, import.meta.filename].every((file) =>
  canReach({ uid: NOBODY, gid: NOBODY }, realpathSync(file)),
)

test.runIf(isRoot && othersMayRunUs)('an ordinary account runs its own database', async () => {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'home'))
  await chown(join(folder, 'home'), NOBODY, NOBODY)
  const data = join(folder, 'home/data')
  const child = await openElsewhere(data, { uid: NOBODY, gid: NOBODY })
  expect((await stat(data)).mode & 0o777).toBe(0o700)
  expect((await stat(join(data, 'postgres/cluster'))).uid).toBe(NOBODY)
  await end(child, 'SIGTERM')
  expect(await postgresPid(data)).toBeUndefined()
})
