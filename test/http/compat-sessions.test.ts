import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compatSession, matrix } from '../support/compat.ts'
import { addUser, introspect, obtainTokens, registerClient } from '../support/oauth.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let clientId: string

beforeAll(async () => {
  postern = await startPostern()
  await addUser(postern, 'alice')
  clientId = await registerClient(postern)
})
afterAll(() => postern.close())

const refresh = (refresh_token: unknown) => matrix(postern, 'POST', 'v3/refresh', { body: { refresh_token } })
const isActive = async (token: unknown) => (await introspect(postern, String(token))).body.active
const refreshable = (device_id?: string) =>
  compatSession(postern, 'alice', { refresh_token: true, ...(device_id ? { device_id } : {}) })

describe('POST /refresh', () => {
  it('gives a new pair, and the old access token dies', async () => {
    const first = await refreshable()
    const { status, headers, body } = await refresh(first.refresh_token)
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(body).toEqual({
      access_token: expect.stringMatching(/^mct_/),
      refresh_token: expect.stringMatching(/^mcr_/),
      expires_in_ms: 300_000,
    })
    expect(await isActive(first.access_token)).toBe(false)
    expect(await isActive(body.access_token)).toBe(true)
  })

  it('gives the same pair again when the answer was lost, also long after, and to ten at once', async () => {
    const { refresh_token } = await refreshable()
    const pairs = await Promise.all(Array.from({ length: 10 }, () => refresh(refresh_token)))
    expect(new Set(pairs.map(({ body }) => body.access_token)).size).toBe(1)
    postern.clock.advance(100)
    expect((await refresh(refresh_token)).body.access_token).toBe(pairs[0]?.body.access_token)
    postern.clock.advance(86_400)
    const later = await refresh(refresh_token)
    expect(later.status).toBe(200)
    expect(await isActive(later.body.access_token)).toBe(true)
  })

  it('ends the session when an old token comes after its successor was used', async () => {
    const { refresh_token, device_id } = await refreshable()
    const { body } = await refresh(refresh_token)
    expect(await isActive(body.access_token)).toBe(true)
    await postern.app.activity.flush()
    postern.clock.advance(60)
    const replayed = await refresh(refresh_token)
    expect(replayed.status).toBe(401)
    expect(replayed.body).toEqual({
      errcode: 'M_UNKNOWN_TOKEN',
      error: 'Invalid refresh token',
      soft_logout: false,
    })
    expect(await isActive(body.access_token)).toBe(false)
    expect(postern.homeserver.devices('alice')).not.toContain(device_id)
  })

  it('refuses unknown and malformed tokens, access tokens, and those of OAuth', async () => {
    const session = await refreshable()
    const oauth = await obtainTokens(postern, clientId, 'alice')
    for (const token of [
      '',
      'nonsense',
      session.access_token,
      oauth.refresh_token,
      `${session.refresh_token}x`,
    ]) {
      const { status, body } = await refresh(token)
      expect(status).toBe(401)
      expect(body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', error: 'Invalid refresh token' })
    }
    expect((await refresh(7)).body.errcode).toBe('M_BAD_JSON')
    expect((await refresh(session.refresh_token)).status).toBe(200)
  })

  it('asks for a soft logout where the token has only expired', async () => {
    const { refresh_token } = await refreshable()
    const past = new Date(postern.clock.now().getTime() - 1000)
    const [row] = await postern.db('tokens').orderBy('created_at', 'desc').where({ kind: 'refresh' }).limit(1)
    await postern.db('tokens').where({ hash: row.hash }).update({ expires_at: past })
    const { status, body } = await refresh(refresh_token)
    expect(status).toBe(401)
    expect(body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true })
  })

  it('refuses the token of a session that ended and of a user who is gone', async () => {
    const session = await refreshable()
    await matrix(postern, 'POST', 'v3/logout', { token: session.access_token })
    expect((await refresh(session.refresh_token)).body).toMatchObject({ soft_logout: false })

    const id = await addUser(postern, 'leaver')
    const last = await compatSession(postern, 'leaver', { refresh_token: true })
    await postern.app.accounts.deactivate(id, { erase: false }, { actor: 'operator' })
    expect((await refresh(last.refresh_token)).status).toBe(401)
  })
})

describe('an access token that has expired', () => {
  it('is answered 401 with soft_logout, and so is one that a refresh replaced', async () => {
    const session = await refreshable()
    const { body } = await refresh(session.refresh_token)
    for (const token of [session.access_token, String(body.access_token)]) {
      const answer = await matrix(postern, 'POST', 'v3/logout', { token })
      if (answer.status === 200) throw new Error('still live')
      expect(answer.status).toBe(401)
      expect(answer.body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true })
      postern.clock.advance(301)
    }
  })
})

describe('POST /logout', () => {
  it('ends the session and deletes its device', async () => {
    const session = await refreshable('GOES')
    const { status, body } = await matrix(postern, 'POST', 'v3/logout', { token: session.access_token })
    expect(status).toBe(200)
    expect(body).toEqual({})
    expect(await isActive(session.access_token)).toBe(false)
    expect(postern.homeserver.devices('alice')).not.toContain('GOES')
  })

  it('takes the token from the query too, as the oldest apps send it', async () => {
    const session = await refreshable()
    const path = `r0/logout?access_token=${session.access_token}`
    expect((await matrix(postern, 'POST', path)).status).toBe(200)
    expect(await isActive(session.access_token)).toBe(false)
  })

  it('works for someone who is locked', async () => {
    const id = await addUser(postern, 'held')
    const session = await compatSession(postern, 'held')
    await postern.app.accounts.lock(id, { actor: 'operator' })
    expect((await matrix(postern, 'POST', 'v3/logout', { token: session.access_token })).status).toBe(200)
  })

  it('refuses a missing token, an unknown one, a refresh token, and one of OAuth', async () => {
    const missing = await matrix(postern, 'POST', 'v3/logout')
    expect(missing.status).toBe(401)
    expect(missing.body.errcode).toBe('M_MISSING_TOKEN')
    const session = await refreshable()
    const oauth = await obtainTokens(postern, clientId, 'alice')
    for (const token of ['nonsense', session.refresh_token, oauth.access_token]) {
      for (const path of ['v3/logout', 'v3/logout/all']) {
        const { status, body } = await matrix(postern, 'POST', path, { token })
        expect(status).toBe(401)
        expect(body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: false })
      }
    }
    expect(await isActive(session.access_token)).toBe(true)
    expect(await isActive(oauth.access_token)).toBe(true)
  })
})

describe('POST /logout/all', () => {
  it("ends all of the user's sessions of this API and nobody else's, and leaves those of OAuth", async () => {
    await addUser(postern, 'bob')
    const bob = await compatSession(postern, 'bob')
    const oauth = await obtainTokens(postern, clientId, 'alice')
    const mine = [await refreshable('FIRST'), await refreshable('SECOND')]
    const { status } = await matrix(postern, 'POST', 'v3/logout/all', { token: mine[0]?.access_token ?? '' })
    expect(status).toBe(200)
    for (const { access_token } of mine) expect(await isActive(access_token)).toBe(false)
    expect(await isActive(bob.access_token)).toBe(true)
    expect(await isActive(oauth.access_token)).toBe(true)
    expect(postern.homeserver.devices('alice')).not.toContain('FIRST')
    expect(postern.homeserver.devices('alice')).not.toContain('SECOND')
  })
})
