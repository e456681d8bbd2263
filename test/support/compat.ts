import { type Agent, createAgent } from './agent.ts'
import { PASSWORD, signIn } from './oauth.ts'
import type { TestPostern } from './postern.ts'

export interface MatrixAnswer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

/** A request of the client-server API; `path` is what follows `/_matrix/client/`. The body is sent as JSON. */
export async function matrix(
  postern: TestPostern,
  method: string,
  path: string,
  { body, token, headers = {} }: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<MatrixAnswer> {
  const response = await fetch(new URL(`/_matrix/client/${path}`, postern.url), {
    method,
    redirect: 'manual',
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const json = response.headers.get('content-type')?.includes('json')
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : {} }
}

/** A sign-in by password with the user's localpart; `extra` adds or replaces members. */
export function passwordLogin(
  postern: TestPostern,
  user: string,
  extra: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<MatrixAnswer> {
  const body = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password: PASSWORD,
    ...extra,
  }
  return matrix(postern, 'POST', 'v3/login', { body, headers })
}

/** A new session of the legacy API and its tokens. */
export async function compatSession(
  postern: TestPostern,
  user: string,
  extra: Record<string, unknown> = {},
): Promise<{ access_token: string; refresh_token: string; device_id: string; user_id: string }> {
  const { status, body } = await passwordLogin(postern, user, extra)
  if (status !== 200) throw new Error(`No session: ${status} ${JSON.stringify(body)}`)
  return body as never
}

export const SSO_TARGET = 'https://app.example/?from=sso'

/** Through the browser: the redirect, sign-in and consent pages, up to the address that the app would be given. */
export async function approveSso(
  postern: TestPostern,
  user: string,
  {
    redirectUrl = SSO_TARGET,
    agent = createAgent(postern.url),
  }: { redirectUrl?: string; agent?: Agent } = {},
): Promise<URL> {
  const start = `/_matrix/client/v3/login/sso/redirect?${new URLSearchParams({ redirectUrl })}`
  let page = await agent.follow(await agent.get(start))
  if (page.body.includes('name="password"')) page = await signIn(agent, page, user)
  const answer = await agent.submit(page, { action: 'continue' })
  if (answer.status !== 303 || !answer.location)
    throw new Error(`Not approved: ${answer.status} ${answer.body}`)
  if (answer.headers.get('cache-control') !== 'no-store') throw new Error('The login token may be cached')
  return new URL(answer.location)
}

/** A login token, fresh from the SSO page. */
export async function obtainLoginToken(
  postern: TestPostern,
  user: string,
  options: Parameters<typeof approveSso>[2] = {},
): Promise<string> {
  return (await approveSso(postern, user, options)).searchParams.get('loginToken') ?? ''
}

export function tokenLogin(
  postern: TestPostern,
  token: string,
  extra: Record<string, unknown> = {},
): Promise<MatrixAnswer> {
  return matrix(postern, 'POST', 'v3/login', { body: { type: 'm.login.token', token, ...extra } })
}
