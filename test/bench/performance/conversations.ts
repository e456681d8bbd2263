import type { Ask, Conversation } from './connection.ts'
import { HOMESERVER_SECRET } from './service.ts'
import { CLIENT_ID, PASSWORD, userName } from './store.ts'
import { accessToken, refreshToken } from './tokens.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const JSON_BODY = { 'content-type': 'application/json' }

const anyOf = (count: number) => Math.floor(Math.random() * count)

/** The share of the sessions that are introspected; the rest is refreshed, which supersedes their access tokens. */
const INTROSPECTED = 0.9

/** The homeserver asks about random tokens of `tokens`; every one is active. */
export function introspection(tokens: number): () => Conversation {
  const sessions = Math.floor((tokens / 2) * INTROSPECTED)
  const headers = { ...FORM, authorization: `Bearer ${HOMESERVER_SECRET}` }
  return () => ({
    request: () => ({ path: '/oauth2/introspect', headers, body: `token=${accessToken(anyOf(sessions))}` }),
    answer(status, body) {
      if (status !== 200 || !body.startsWith('{"active":true')) throw new Error(`${status} ${body}`)
      return 0
    },
  })
}

/** The same request to the bare server, whose answer is always the same. */
export const bare = introspection

/** Every connection refreshes a session of its own, again and again; chains are never used twice. */
export function refreshChains(tokens: number): () => Conversation {
  let next = Math.ceil(tokens / 2)
  return () => {
    next -= 1
    let token = refreshToken(next)
    return {
      request: () => ({
        path: '/oauth2/token',
        headers: FORM,
        body: `grant_type=refresh_token&client_id=${CLIENT_ID}&refresh_token=${token}`,
      }),
      answer(status, body) {
        const { refresh_token } = JSON.parse(body) as { refresh_token?: string }
        if (status !== 200 || refresh_token === undefined) throw new Error(`${status} ${body}`)
        token = refresh_token
        return 0
      },
    }
  }
}

function login(user: string, password: string): Ask {
  const identifier = { type: 'm.id.user', user }
  const body = { type: 'm.login.password', identifier, password, refresh_token: true }
  return { path: '/_matrix/client/v3/login', headers: JSON_BODY, body: JSON.stringify(body) }
}

/** People sign in with the right password, on a new device each time, by the legacy API: one request each. */
export function signIns(tokens: number): () => Conversation {
  const users = Math.ceil(tokens / 20)
  return () => ({
    request: () => login(userName(anyOf(users)), PASSWORD),
    answer(status, body) {
      if (status !== 200) throw new Error(`${status} ${body}`)
      return 0
    },
  })
}

/** How long a client of the flood waits that was refused, in milliseconds: 200 of them ask about 500 times a second. */
const AFTER_REFUSAL = 400

/** Ten times more sign-ins than can be hashed, half of them wrong: those that find no place are told to come back. */
export function signInFlood(tokens: number): () => Conversation {
  const users = Math.ceil(tokens / 20)
  return () => ({
    request: () => login(userName(anyOf(users)), Math.random() < 0.5 ? PASSWORD : 'a wrong password'),
    answer(status, body) {
      if (status !== 200 && status !== 403 && status !== 503) throw new Error(`${status} ${body}`)
      return status === 503 ? AFTER_REFUSAL : 0
    },
  })
}
