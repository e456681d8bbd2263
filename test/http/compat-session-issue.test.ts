import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CommandResult, runCommand } from '../support/command.ts'
import { compatSession, matrix } from '../support/compat.ts'
import { addUser, introspect } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-issue-'))
  postern = await startPostern()
})
afterAll(async () => {
  await postern.close()
  await rm(folder, { recursive: true })
})

/** `postern session issue`, beside the running server. */
function issue(...args: string[]): Promise<CommandResult> {
  const { database, matrix: homeserver } = postern.config
  const env = {
    POSTERN_DATABASE__URI: database.uri,
    POSTERN_MATRIX__SERVER_NAME: homeserver.server_name,
    POSTERN_MATRIX__ENDPOINT: homeserver.endpoint,
    POSTERN_MATRIX__SECRET: homeserver.secret,
    POSTERN_MATRIX__REQUEST_TIMEOUT: '2',
  }
  return runCommand(['session', 'issue', ...args], { cwd: folder, env })
}

test('prints a token and nothing else, good for the client-server API on a device of its own, for ever', async () => {
  await addUser(postern, 'alice')
  const { code, out, err } = await issue('alice')
  expect(code).toBe(0)
  expect(out).toMatch(/^mct_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/)
  const [device] = postern.homeserver.devices('alice')
  expect(err).toBe(`@alice:localhost.test is signed in on device ${device}; the token is shown once:`)
  postern.clock.advance(10 * 365 * 86_400)
  const { body } = await introspect(postern, out)
  expect(body).toMatchObject({ active: true, username: 'alice', device_id: device, client_id: 'legacy' })
  expect(body).not.toHaveProperty('exp')
  expect(body.scope).not.toContain('admin')
  expect((await matrix(postern, 'POST', 'v3/logout', { token: out })).status).toBe(200)
  expect((await introspect(postern, out)).body).toEqual({ active: false })
})

test('with --admin the token is for the admin API of Synapse too, and the audit table says who made it', async () => {
  const id = await addUser(postern, 'bob')
  const { out } = await issue('@bob:localhost.test', '--admin', '--device', 'CRON')
  const { body } = await introspect(postern, out)
  expect(String(body.scope).split(' ')).toEqual(
    expect.arrayContaining(['urn:matrix:client:api:*', 'urn:synapse:admin:*']),
  )
  expect(body).toMatchObject({ sub: id, device_id: 'CRON' })
  const audit = await postern
    .db('audit_events')
    .where({ actor: 'operator' })
    .whereIn('event', ['session.issued', 'session.started'])
    .orderBy('id')
  expect(audit.slice(-2).map(({ event, details }) => [event, details.admin ?? details.scope])).toEqual([
    ['session.issued', true],
    ['session.started', 'urn:synapse:admin:*'],
  ])
  expect(JSON.stringify(await postern.db('audit_events'))).not.toContain(out)
  expect(JSON.stringify(await postern.db('tokens'))).not.toContain(out)
})

test('replaces the session that has the device already', async () => {
  await addUser(postern, 'carol')
  const before = await compatSession(postern, 'carol', { device_id: 'LAPTOP' })
  const { out } = await issue('carol', '--device', 'LAPTOP')
  expect((await introspect(postern, before.access_token)).body).toEqual({ active: false })
  expect((await introspect(postern, out)).body.active).toBe(true)
  expect(postern.homeserver.devices('carol')).toEqual(['LAPTOP'])
})

test('refuses users who are unknown, locked or deactivated, and device IDs that are none, and says what to do', async () => {
  const dave = await addUser(postern, 'dave')
  const refused = async (...args: string[]) => {
    const { code, out, err } = await issue(...args)
    expect([code, out]).toEqual([1, ''])
    return err
  }
  expect(await refused('nobody')).toBe('There is no user nobody')
  expect(await refused('@dave:elsewhere.test')).toBe('There is no user @dave:elsewhere.test')
  expect(await refused('dave', '--device', 'my phone')).toMatch(/^The device ID must have 1 to 255 printable/)
  expect(await refused('dave', '--device', 'x'.repeat(256))).toMatch(/^The device ID must have/)
  await postern.app.accounts.lock(dave, { actor: 'operator' })
  expect(await refused('dave')).toBe('The user is locked: unlock it first (postern user unlock)')
  await postern.app.accounts.deactivate(dave, { erase: false }, { actor: 'operator' })
  expect(await refused('dave')).toMatch(/^The user is deactivated: .*postern user reactivate/)
  expect(
    await postern
      .db('sessions')
      .where({ user_id: (await postern.db('users').where({ localpart: 'dave' }).first('id')).id }),
  ).toEqual([])
})

test('makes no session while the homeserver is away, and says so', async () => {
  await addUser(postern, 'erin')
  postern.homeserver.trouble('cut')
  const { code, out, err } = await issue('erin')
  postern.homeserver.recover()
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(/homeserver/)
  expect((await issue('erin')).code).toBe(0)
})
