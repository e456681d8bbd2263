import { DatabaseSync } from 'node:sqlite'
import { hash } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { matrix, passwordLogin } from '../support/compat.ts'
import { createSynapseTables, ENGINES, type ImportFixture, runImportCommand } from '../support/import.ts'
import { IMPORT_PEPPER, userId } from '../support/import-people.ts'
import { introspect } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const LONG_PASSWORD = 'a long passphrase of which bcrypt reads no more than its first seventy-two bytes'
const token = (name: string) => `syt_${name}_${'x'.repeat(20)}_0aBcDe`
const refreshToken = (name: string) => `syr_${name}_${'x'.repeat(20)}_0aBcDe`

describe.each(ENGINES)('what a Synapse of many years holds, on %s', (engine) => {
  let fixture: ImportFixture
  let postern: TestPostern
  let report: Awaited<ReturnType<typeof runImportCommand>>

  beforeAll(async () => {
    fixture = await createSynapseTables(engine)
    const bcrypt = await hash(`pass${IMPORT_PEPPER}`, 4)
    const long = await hash(`${LONG_PASSWORD}${IMPORT_PEPPER}`, 4)
    const kinds = ['a', 'b', 'y'].map(
      (kind) => `('${userId(`bcrypt_${kind}`)}', 1500000000, '${bcrypt.replace(/^\$2\w/, `$2${kind}`)}')`,
    )
    const odd = ['_=-./+', 'semi;colon', "o''hara", '100%', 'a~b!c"d', 'UPPER', '-', '0'].map(
      (name) => `('${userId(name)}', 1500000000, null)`,
    )
    const times = ['-1', '0', '9223372036854775807', 'null'].map(
      (time, index) => `('${userId(`time${index}`)}', ${time}, '')`,
    )
    const [hara, long512] = [userId("o''hara"), 'd'.repeat(512)]
    await fixture.synapse.run(`
      insert into users (name, creation_ts, password_hash) values ${[...kinds, ...odd, ...times].join(', ')},
        ('${userId('long')}', 1500000000, '${long}'), (null, 1500000000, null);
      insert into devices (user_id, device_id, display_name, last_seen, ip, user_agent) values
        ('${hara}', 'with space', null, -5, '', ''), ('${hara}', 'Gerät 📱', 'Name 📱', 9223372036854775807, '::1', 'x'),
        ('${hara}', '${long512}', null, null, null, null), ('${hara}', 'line
break', null, null, null, null), ('${hara}', '\\N', '\\N', null, null, null);
      insert into access_tokens (id, user_id, device_id, token, valid_until_ms, last_validated) values
        (1, '${hara}', 'with space', '${token('space')}', 9223372036854775807, -1),
        (2, '${hara}', 'Gerät 📱', '${token('unicode')}', null, 9223372036854775807),
        (3, '${hara}', '${long512}', '${token('long')}', null, null),
        (4, '${hara}', '\\N', '${token('null')}', 0, null),
        (5, '${hara}', '\\N', '${refreshToken('twice')}', null, null);
      insert into refresh_tokens (id, user_id, device_id, token, next_token_id) values
        (3, '${hara}', '\\N', '${refreshToken('third')}', null), (2, '${hara}', '\\N', '${refreshToken('second')}', 3),
        (1, '${hara}', '\\N', '${refreshToken('first')}', 2), (4, '${hara}', '\\N', '${refreshToken('twice')}', null);
      insert into access_tokens (id, user_id, device_id, token, refresh_token_id, used, valid_until_ms) values
        (6, '${hara}', '\\N', '${token('third')}', 3, false, 3900000000000);
      insert into user_threepids values
        ('${hara}', 'email', 'Hara@Mail.example.test', 1, 5), ('${userId('UPPER')}', 'email', 'hara@mail.EXAMPLE.test', 1, 6),
        ('${userId('UPPER')}', 'Email', 'other@mail.example.test', 1, 6);
      insert into user_external_ids values ('oidc', 'a b', '${hara}'), ('oidc', '', '${hara}'), ('saml', 'A B', '${hara}');`)
    if (engine === 'SQLite') {
      await fixture.synapse.run(`
        pragma journal_mode = wal;
        insert into devices (user_id, device_id, display_name) values
          ('${hara}', 'nul' || char(0), null), ('${hara}', 'NAME', 'nul' || char(0) || 'name'), ('${hara}', cast(x'ff41' as text), null);
        insert into users (name, creation_ts) values (x'00ff', 'yesterday')`)
    }
    report = await runImportCommand(fixture, 'run', ['--json'])
    const many = { points: 1000, per_seconds: 60 }
    postern = await startPostern({
      config: {
        database: { uri: fixture.target.uri },
        passwords: { bcrypt_pepper: IMPORT_PEPPER },
        limits: { sign_in_per_address: many, sign_in_per_user: many },
      },
    })
  })
  afterAll(async () => {
    await postern?.close()
    await fixture?.close()
  })

  const column = async (sql: string) =>
    (await fixture.target.knex.raw(sql)).rows.map((row: object) => Object.values(row)[0])

  test('moves what fits, and names the rest', async () => {
    expect(report).toMatchObject({ code: 0, err: '' })
    const { counts, setAside } = JSON.parse(report.out)
    const more = engine === 'SQLite' ? 1 : 0
    expect(counts.users).toMatchObject({ moved: 16, setAside: 1 + more })
    expect(counts.devices).toMatchObject({ setAside: engine === 'SQLite' ? 4 : 2 })
    expect(setAside.map(({ reason }: { reason: string }) => reason)).toContain('is not a user ID')
    expect(await column(`select device_id from sessions where device_id is not null order by 1`)).toEqual(
      [...(more ? ['NAME'] : []), '\\N', 'with space', 'Gerät 📱'].sort(),
    )
  })

  test('odd names of devices and impossible times are kept or left out', async () => {
    expect((await introspect(postern, token('space'))).body).toMatchObject({ device_id: 'with space' })
    expect((await introspect(postern, token('unicode'))).body).toMatchObject({ device_id: 'Gerät 📱' })
    for (const gone of ['long', 'null'])
      expect((await introspect(postern, token(gone))).body).toEqual({ active: false })
  })

  test.each(['a', 'b', 'y'])('bcrypt of kind 2%s signs in, with the pepper', async (kind) => {
    postern.homeserver.addUser(`bcrypt_${kind}`)
    expect((await passwordLogin(postern, `bcrypt_${kind}`, { password: 'pass' })).status).toBe(200)
    expect((await passwordLogin(postern, `bcrypt_${kind}`, { password: 'Pass' })).status).toBe(403)
  })

  test('so does a password that is longer than what bcrypt reads', async () => {
    postern.homeserver.addUser('long')
    expect((await passwordLogin(postern, 'long', { password: LONG_PASSWORD })).status).toBe(200)
  })

  test('of addresses that differ in capital letters the older one arrives', async () => {
    expect(await column('select email from user_emails')).toEqual(['Hara@Mail.example.test'])
    expect(await column('select subject from upstream_links order by synapse_idp_id, subject')).toEqual([
      '',
      'a b',
      'A B',
    ])
  })

  test('of a chain of refresh tokens the last exchange may be asked for again, an earlier one is a replay', async () => {
    const ask = (name: string) =>
      matrix(postern, 'POST', 'v3/refresh', { body: { refresh_token: refreshToken(name) } })
    expect(await ask('second')).toMatchObject({
      status: 200,
      body: { access_token: token('third'), refresh_token: refreshToken('third') },
    })
    expect((await ask('first')).status).toBe(401)
    expect((await introspect(postern, token('third'))).body).toEqual({ active: false })
  })
})

test('a role that may only read Synapse’s tables is enough', async () => {
  const fixture = await createSynapseTables('PostgreSQL')
  const role = `reader_${Date.now()}`
  await fixture.synapse.run(`
    insert into users (name, creation_ts) values ('${userId('alice')}', 1500000000);
    create role ${role} login password 'reads';
    grant select on all tables in schema public to ${role}`)
  const { host, port, dbname } = fixture.synapse.section.args
  const query = new URLSearchParams({ host: String(host), port: String(port) })
  const address = `postgresql://${role}:reads@/${dbname}?${query}`
  const { code, err, out } = await runImportCommand(fixture, 'run', ['--json', '--synapse-database', address])
  expect([code, err]).toEqual([0, ''])
  expect(JSON.parse(out).counts.users).toMatchObject({ moved: 1 })
  await fixture.synapse.run(`drop owned by ${role}; drop role ${role}`)
  await fixture.close()
})

test('an SQLite file with a log that was not merged yet is read with it', async () => {
  const fixture = await createSynapseTables('SQLite')
  const database = new DatabaseSync(String(fixture.synapse.section.args.database))
  database.exec('pragma journal_mode = wal')
  database.exec(`insert into users (name, creation_ts) values ('${userId('alice')}', 1500000000)`)
  const { code, out } = await runImportCommand(fixture, 'run', ['--json'])
  database.close()
  expect(code).toBe(0)
  expect(JSON.parse(out).counts.users).toMatchObject({ moved: 1 })
  await fixture.close()
})
