/** An answer of the client-server API. */
export interface ApiAnswer {
  status: number
  body: Record<string, unknown>
}

/** One request of an app, or of an administrator's tool. */
export async function callApi(
  baseUrl: string,
  method: string,
  path: string,
  { token, body }: { token?: string; body?: unknown } = {},
): Promise<ApiAnswer> {
  const response = await fetch(`${baseUrl}${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Like `callApi`, where anything but success is a mistake of the test. */
export async function mustCall(...request: Parameters<typeof callApi>): Promise<Record<string, unknown>> {
  const { status, body } = await callApi(...request)
  if (status >= 300) throw new Error(`${request[1]} ${request[2]}: ${status} ${JSON.stringify(body)}`)
  return body
}

export function whoami(baseUrl: string, token: string): Promise<ApiAnswer> {
  return callApi(baseUrl, 'GET', '/_matrix/client/v3/account/whoami', { token })
}

export function sync(baseUrl: string, token: string): Promise<ApiAnswer> {
  return callApi(baseUrl, 'GET', '/_matrix/client/v3/sync', { token })
}

/** The legacy sign-in with a password. */
export function passwordLogin(
  baseUrl: string,
  user: string,
  password: string,
  extra: Record<string, unknown> = {},
): Promise<ApiAnswer> {
  const isAddress = user.indexOf('@') > 0
  const identifier = isAddress
    ? { type: 'm.id.thirdparty', medium: 'email', address: user }
    : { type: 'm.id.user', user }
  const body = { type: 'm.login.password', identifier, password, ...extra }
  return callApi(baseUrl, 'POST', '/_matrix/client/v3/login', { body })
}

/** The legacy refresh. */
export function legacyRefresh(baseUrl: string, refreshToken: string): Promise<ApiAnswer> {
  return callApi(baseUrl, 'POST', '/_matrix/client/v3/refresh', { body: { refresh_token: refreshToken } })
}
