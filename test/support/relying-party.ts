import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** A logout notice as it came in. */
export interface Notice {
  path: string
  contentType: string | undefined
  headers: Record<string, unknown>
  token: string
}

/** How it answers: with a status, not at all, by a redirect to an address, or with a body that never ends. */
export type Answer = number | 'hang' | 'flood' | { redirect: string }

export interface RelyingParty {
  /** Where notices go, below which any path works. */
  readonly url: string
  readonly notices: Notice[]
  /** The answers to the next notices, in order; then 200 again. */
  answer(...answers: Answer[]): void
  /** Waits until there are so many notices in all. */
  received(count: number): Promise<Notice[]>
  /** How many notices were in its hands at the same time, at most. */
  mostAtOnce(): number
  stop(): Promise<void>
}

/** An app that is told when its sessions end (OpenID Connect Back-Channel Logout 1.0), as strict as the specification. */
export async function startRelyingParty(): Promise<RelyingParty> {
  const notices: Notice[] = []
  const answers: Answer[] = []
  const waiting = new Set<() => void>()
  let open = 0
  let most = 0

  function respond(response: ServerResponse): void {
    const answer = answers.shift() ?? 200
    if (answer === 'hang') return
    if (answer === 'flood') {
      response.writeHead(200)
      const pour = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        if (!response.destroyed) response.once('drain', pour)
      }
      return pour()
    }
    if (typeof answer === 'object') response.writeHead(302, { location: answer.redirect }).end()
    else response.writeHead(answer, { 'cache-control': 'no-store' }).end()
  }

  const server = createServer(async (request, response) => {
    most = Math.max(most, ++open)
    response.once('close', () => open--)
    const form = new URLSearchParams(await readText(request))
    notices.push({
      path: request.url ?? '',
      contentType: request.headers['content-type'],
      headers: request.headers,
      token: form.get('logout_token') ?? '',
    })
    respond(response)
    for (const check of waiting) check()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    notices,
    answer: (...next) => void answers.push(...next),
    received: (count) =>
      new Promise((resolve) => {
        const check = () => {
          if (notices.length < count) return
          waiting.delete(check)
          resolve(notices)
        }
        waiting.add(check)
        check()
      }),
    mostAtOnce: () => most,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Checks a logout token as §2.6 says, by the keys that the service publishes. Throws where anything is wrong. */
export async function verifyLogoutToken(
  token: string,
  { issuer, clientId, algorithm = 'RS256' }: { issuer: string; clientId: string; algorithm?: string },
): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(`${issuer}oauth2/keys.json`))
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience: clientId,
    typ: 'logout+jwt',
    algorithms: [algorithm],
    requiredClaims: ['iss', 'aud', 'iat', 'exp', 'jti', 'events'],
  })
  const events = payload.events as Record<string, unknown>
  if (JSON.stringify(events[EVENT]) !== '{}') throw new Error('There is no logout event')
  if (payload.sub === undefined && payload.sid === undefined) throw new Error('It names nobody')
  if ('nonce' in payload) throw new Error('It has a nonce')
  if ((payload.exp ?? 0) - (payload.iat ?? 0) > 120) throw new Error('It is good for longer than two minutes')
  return payload
}
