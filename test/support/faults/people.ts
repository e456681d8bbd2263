import type { Knex } from 'knex'
import { newId, toUuid } from '../../../src/ids.ts'
import { hashArgon2 } from '../../../src/users/password-schemes.ts'
import { setPasswordHash } from '../../../src/users/store.ts'
import type { FakeHomeserver } from '../fake-homeserver.ts'
import { PASSWORD } from '../oauth.ts'

/** Users with a password, made in the database as an operator would have left them. */
export async function makePeople(db: Knex, homeserver: FakeHomeserver, count: number): Promise<string[]> {
  const now = new Date()
  const hash = await hashArgon2(Buffer.from(PASSWORD))
  const names: string[] = []
  for (let index = 0; index < count; index++) {
    const id = newId(now)
    const localpart = `person${id.slice(-8).toLowerCase()}${index}`
    await db('users').insert({ id: toUuid(id), localpart, created_at: now, provisioned_at: now })
    await setPasswordHash(db, id, hash, now)
    homeserver.addUser(localpart)
    names.push(localpart)
  }
  return names
}

interface Signed {
  status: number
  body: { access_token?: string; errcode?: string }
}

async function send(url: string, body: object, token?: string): Promise<Signed> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Signed['body'] }
}

/** A sign-in of the legacy API; undefined where the connection failed. */
export function passwordSignIn(base: string, user: string): Promise<Signed | undefined> {
  const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: PASSWORD }
  return send(`${base}_matrix/client/v3/login`, body).catch(() => undefined)
}

export function signOut(base: string, token: string): Promise<Signed | undefined> {
  return send(`${base}_matrix/client/v3/logout`, {}, token).catch(() => undefined)
}

/** Signs in by the page as a browser would that keeps its cookie and its form; undefined where the connection failed. */
export async function openSignInPage(base: string): Promise<(user: string) => Promise<Response | undefined>> {
  const page = await fetch(`${base}login`)
  const cookie = page.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
  const csrf = /name="csrf" value="([^"]*)"/.exec(await page.text())?.[1] ?? ''
  return async (username) => {
    const body = new URLSearchParams({ csrf, username, password: PASSWORD })
    const options = { method: 'POST', headers: { cookie }, body, redirect: 'manual' } as const
    return fetch(`${base}login`, options).catch(() => undefined)
  }
}
