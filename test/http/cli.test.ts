import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/ids.ts'
import { insertSession } from '../../src/sessions/start/store.ts'
import { type CommandOptions, runCommand, spawnCommand } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'

const PASSWORD = 'correct horse battery'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-cli-'))
  // As root PostgreSQL runs under another account, and would otherwise have to live outside this folder.
  await chmod(folder, 0o711)
})
afterAll(() => rm(folder, { recursive: true }))

describe('with a database of its own', () => {
  test('commands work without a server and before its first start', { timeout: 120_000 }, async () => {
    const postern = (args: string[], input = '') => spawnCommand(args, { cwd: folder, input })
    expect(await postern(['database', 'migrate'])).toMatchObject({ code: 0, err: '' })
    expect(await postern(['database', 'migrate'])).toMatchObject({ out: 'The database is up to date.' })
    const added = await postern(['user', 'add', 'alice', '--password-stdin'], `${PASSWORD}\n`)
    expect(added).toMatchObject({ code: 0, err: '' })
    expect(added.out).toMatch(/^added alice [0-9A-Z]{26}$/)
    expect((await postern(['user', 'list'])).out).toBe(added.out.replace('added ', ''))
  })
})

describe('with a PostgreSQL and a homeserver', () => {
  let database: TestDatabase
  let homeserver: FakeHomeserver
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    database = await createTestDatabase()
    homeserver = await startFakeHomeserver()
    env = {
      POSTERN_DATABASE__URI: database.uri,
      POSTERN_MATRIX__SERVER_NAME: 'example.org',
      POSTERN_MATRIX__ENDPOINT: homeserver.url,
      POSTERN_MATRIX__SECRET: homeserver.secret,
    }
  })
  afterAll(async () => {
    await homeserver.stop()
    await database.close()
  })

  const postern = (args: string[], options: Partial<CommandOptions>) =>
    runCommand(args, { cwd: folder, ...options })

  const events = async () => (await database.knex('audit_events').orderBy('id').pluck('event')) as string[]

  test('users are added, changed and listed, and the audit table knows', { timeout: 120_000 }, async () => {
    const add = await postern(['user', 'add', 'bob', '--admin', '--password-stdin'], { env, input: PASSWORD })
    expect(add).toMatchObject({ code: 0, err: '' })
    const id = add.out.split(' ')[2]!
    await insertSession(database.knex, {
      id: newId(new Date()),
      kind: 'oauth',
      userId: id,
      clientId: 'app',
      deviceId: 'DEVICE',
      scope: 'openid',
      browserSessionId: null,
      createdAt: new Date('2026-01-02T03:04:05Z'),
      expiresAt: null,
      ip: null,
      userAgent: null,
      name: null,
    })

    expect((await postern(['user', 'lock', '@bob:example.org'], { env })).out).toBe('bob is locked')
    expect((await postern(['user', 'list', '--locked'], { env })).out).toBe(`bob ${id} admin locked`)
    expect((await postern(['user', 'unlock', 'bob'], { env })).out).toBe('bob is unlocked')
    expect((await postern(['user', 'set-admin', 'bob', '--remove'], { env })).out).toBe('bob is no admin')
    const password = { env, input: 'another horse battery\n' }
    expect((await postern(['user', 'set-password', 'bob', '--password-stdin'], password)).out).toBe(
      'set the password of bob',
    )
    const sessions = await postern(['user', 'sessions', 'bob'], { env })
    expect(sessions.out).toMatch(
      /^[0-9A-Z]{26} oauth client app device DEVICE since 2026-01-02T03:04:05.000Z active /,
    )
    expect((await postern(['user', 'deactivate', 'bob'], { env })).out).toBe('bob is deactivated')
    expect((await postern(['user', 'sessions', 'bob', '--json'], { env })).out).toBe('[]')
    expect((await postern(['user', 'reactivate', 'bob'], { env })).out).toBe('bob is active')
    const [listed] = JSON.parse((await postern(['user', 'list', '--json'], { env })).out) as object[]
    expect(listed).toMatchObject({
      id,
      localpart: 'bob',
      admin: false,
      locked_at: null,
      deactivated_at: null,
    })
    expect(await events()).toEqual([
      'user.added',
      'user.locked',
      'user.unlocked',
      'user.admin_withdrawn',
      'password.set',
      'user.deactivated',
      'session.ended',
      'user.reactivated',
    ])
  })

  test('the list says what an import noted of a user', async () => {
    await database.knex('users').insert([
      { id: randomUUID(), localpart: 'anna', created_at: new Date(), is_suspended: true },
      { id: randomUUID(), localpart: 'gast', created_at: new Date(), is_guest: true },
      { id: randomUUID(), localpart: 'puppet', created_at: new Date(), appservice_id: 'bridge' },
    ])
    const { out } = await postern(['user', 'list'], { env })
    for (const line of [/^anna \S+ suspended$/m, /^gast \S+ guest$/m, /^puppet \S+ appservice$/m])
      expect(out).toMatch(line)
    const listed = JSON.parse((await postern(['user', 'list', '--search', 'puppet', '--json'], { env })).out)
    expect(listed).toMatchObject([{ suspended: false, guest: false, appservice_id: 'bridge' }])
  })

  test('what cannot be done is one line on standard error, and the code 1', {
    timeout: 180_000,
  }, async () => {
    homeserver.addUser('carol')
    const input = PASSWORD
    const cases: [string[], string][] = [
      [['user', 'add', 'carol', '--password-stdin'], 'or adopt the user (--adopt)'],
      [['user', 'add', 'Carol', '--password-stdin'], 'no capital letters'],
      [['user', 'lock', 'nobody'], 'There is no user nobody'],
      [
        ['client', 'add', '--name', 'App', '--redirect-uri', '/cb'],
        '--redirect-uri is not an absolute address',
      ],
    ]
    for (const [args, expected] of cases) {
      const { code, out, err } = await postern(args, { env, input })
      expect({ code, out, lines: err.split('\n').length }).toEqual({ code: 1, out: '', lines: 1 })
      expect(err).toContain(expected)
    }
    const adopted = await postern(['user', 'add', 'carol', '--adopt', '--password-stdin'], { env, input })
    expect(adopted.out).toMatch(/^added carol /)
  })

  test('a client gets a secret that is shown once and stored as a hash', { timeout: 180_000 }, async () => {
    const added = await postern(
      ['client', 'add', '--name', 'App', '--redirect-uri', 'https://a.example/cb'],
      { env },
    )
    const [, id, secret] = /^client_id: (\S+)\nclient_secret: (\S{43})$/.exec(added.out) ?? []
    expect(await postern(['client', 'list'], { env })).toMatchObject({ out: `${id} static App` })
    const json = (await postern(['client', 'list', '--json'], { env })).out
    expect(JSON.parse(json)).toMatchObject([{ client_id: id, kind: 'static' }])
    expect(json).not.toContain(secret)
    expect(await events()).toContain('client.added')
  })

  test('a client is added with everything that the configuration knows of one', {
    timeout: 180_000,
  }, async () => {
    const { publicKey } = await generateKeyPair('ES256')
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }
    await writeFile(join(folder, 'keys.json'), JSON.stringify(jwks))
    const add = (...more: string[]) =>
      postern(
        [
          ...[
            'client',
            'add',
            '--json',
            '--client-id',
            'house',
            '--name',
            'House',
            '--auth-method',
            'private_key_jwt',
          ],
          ...['--redirect-uri', 'https://a.example/cb', 'https://a.example/other'],
          ...['--post-logout-redirect-uri', 'https://a.example/bye', '--client-uri', 'https://a.example/'],
          ...['--backchannel-logout-uri', 'https://a.example/gone', '--backchannel-logout-session-required'],
          ...[
            '--require-pushed-authorization-requests',
            '--skip-consent',
            '--may-introspect',
            '--scope',
            'openid',
          ],
          ...more,
        ],
        { env },
      )
    expect((await add('--jwks-file', 'no-such.json')).err).toContain(
      '--jwks-file no-such.json: cannot be read',
    )
    const added = await add('--jwks-file', join(folder, 'keys.json'))
    expect(added).toMatchObject({ code: 0, err: '' })
    // Whoever signs has no secret here.
    expect(JSON.parse(added.out)).toEqual({ client_id: 'house' })
    const [{ metadata, secret_hash }] = await database.knex('clients').where({ client_id: 'house' })
    expect(secret_hash).toBeNull()
    expect(metadata).toMatchObject({
      redirect_uris: ['https://a.example/cb', 'https://a.example/other'],
      post_logout_redirect_uris: ['https://a.example/bye'],
      backchannel_logout_uri: 'https://a.example/gone',
      backchannel_logout_session_required: true,
      require_pushed_authorization_requests: true,
      skip_consent: true,
      may_introspect: true,
      scope: 'openid',
      jwks,
    })
  })

  test('names that strangers chose do not steer the terminal', async () => {
    const name = 'App\u001b[2J\u202e'
    await spawnCommand(
      ['client', 'add', '--name', name, '--auth-method', 'none', '--redirect-uri', 'https://a.example/'],
      { cwd: folder, env },
    )
    expect((await spawnCommand(['client', 'list'], { cwd: folder, env })).out).toContain('App\ufffd[2J\ufffd')
  })

  test('a password is never asked for where there is no terminal', async () => {
    const { code, err } = await spawnCommand(['user', 'add', 'dave'], { cwd: folder, env, input: PASSWORD })
    expect({ code, err }).toEqual({
      code: 1,
      err: 'There is no terminal to ask for the password: give it on standard input with --password-stdin',
    })
  })

  test('a database that is away is one line without a stack trace', async () => {
    const away = { ...env, POSTERN_DATABASE__URI: 'postgresql://nobody@127.0.0.1:1/none' }
    const { code, err } = await postern(['user', 'list'], { env: away })
    expect(code).toBe(1)
    expect(err).toContain('ECONNREFUSED')
    expect(err).not.toContain('\n')
  })
})
