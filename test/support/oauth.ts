import { createHash, randomBytes } from 'node:crypto'
import { type Agent, type Answer, createAgent } from './agent.ts'
import type { TestPostern } from './postern.ts'

export const REDIRECT_URI = 'https://app.example/callback'
export const API = 'urn:matrix:client:api:*'
export const PASSWORD = 'correct horse battery staple'

export function deviceScope(id: string): string {
  return `urn:matrix:client:device:${id}`
}

/** Where a service is: all that an app knows of it. */
export type Service = Pick<TestPostern, 'url'>

/** A user with a password, made as an operator makes one. */
export async function addUser(
  postern: TestPostern,
  localpart: string,
  { admin = false } = {},
): Promise<string> {
  const user = await postern.app.addUser.add({ localpart, password: PASSWORD, admin }, { actor: 'operator' })
  return user.id
}

export async function registerClient(
  postern: Service,
  metadata: Record<string, unknown> = {},
): Promise<string> {
  const response = await fetch(`${postern.url}oauth2/registration`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'Test app',
      client_uri: 'https://app.example/',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      ...metadata,
    }),
  })
  const body = (await response.json()) as { client_id?: string }
  if (!body.client_id) throw new Error(`Registration failed: ${JSON.stringify(body)}`)
  return body.client_id
}

export interface AuthorizationRequest {
  url: string
  verifier: string
  state: string
  params: Record<string, string>
}

/** An authorization request with PKCE; `params` adds, replaces or (undefined) leaves out parameters. */
export function authorizationRequest(
  postern: Service,
  clientId: string,
  params: Record<string, string | undefined> = {},
): AuthorizationRequest {
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(8).toString('base64url')
  const all: Record<string, string | undefined> = {
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: `openid ${API} ${deviceScope('ABCDEFGHIJ')}`,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...params,
  }
  const present = Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as Record<string, string>
  return { url: `${postern.url}authorize?${new URLSearchParams(present)}`, verifier, state, params: present }
}

export async function signIn(
  agent: Agent,
  page: Answer,
  username: string,
  password = PASSWORD,
): Promise<Answer> {
  return agent.follow(await agent.submit(page, { username, password }))
}

/** From the authorization request to the redirect back to the app, signing in where the page asks for it. */
export async function authorize(
  postern: Service,
  clientId: string,
  username: string,
  {
    params = {},
    agent = createAgent(postern.url),
  }: { params?: Record<string, string | undefined>; agent?: Agent } = {},
): Promise<{ code: string; request: AuthorizationRequest; redirect: URL; agent: Agent }> {
  const request = authorizationRequest(postern, clientId, params)
  let page = await agent.follow(await agent.get(request.url))
  if (page.body.includes('name="password"')) page = await signIn(agent, page, username)
  if (page.body.includes('value="continue"'))
    page = await agent.follow(await agent.submit(page, { action: 'continue' }))
  const redirect = new URL(page.location ?? 'about:blank')
  const answer =
    redirect.searchParams.size > 0 ? redirect.searchParams : new URLSearchParams(redirect.hash.slice(1))
  const code = answer.get('code')
  if (!code) throw new Error(`No code: ${page.status} ${page.location} ${page.body.slice(0, 3000)}`)
  return { code, request, redirect, agent }
}

export interface Tokens {
  access_token: string
  refresh_token: string
  expires_in: number
  scope: string
  id_token?: string
}

export function post(
  url: string,
  form: Record<string, string> | string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  })
}

export function exchange(
  postern: Service,
  clientId: string,
  code: string,
  verifier: string,
  extra: Record<string, string> = {},
): Promise<Response> {
  return post(`${postern.url}oauth2/token`, {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
    ...extra,
  })
}

export function refresh(
  postern: Service,
  clientId: string,
  token: string,
  extra: Record<string, string> = {},
): Promise<Response> {
  return post(`${postern.url}oauth2/token`, {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: token,
    ...extra,
  })
}

/** Signs a user in and returns the tokens. */
export async function obtainTokens(
  postern: Service,
  clientId: string,
  username: string,
  options: Parameters<typeof authorize>[3] = {},
): Promise<Tokens & { agent: Agent }> {
  const { code, request, agent } = await authorize(postern, clientId, username, options)
  const response = await exchange(postern, clientId, code, request.verifier, {
    redirect_uri: request.params.redirect_uri ?? REDIRECT_URI,
  })
  if (response.status !== 200) throw new Error(`Exchange failed: ${response.status} ${await response.text()}`)
  return { ...((await response.json()) as Tokens), agent }
}

export async function introspect(
  postern: TestPostern,
  token: string,
  headers: Record<string, string> = { 'x-mas-supports-device-id': '1' },
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const secret = postern.config.matrix.secret ?? ''
  const response = await post(
    `${postern.url}oauth2/introspect`,
    { token, token_type_hint: 'access_token' },
    { authorization: `Bearer ${secret}`, ...headers },
  )
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}
