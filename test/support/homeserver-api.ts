/** An answer of the client-server API. */
export interface MatrixAnswer {
  status: number
  body: Record<string, unknown>
  headers: Headers
}

export interface MatrixRequest {
  token?: string
  body?: object
  headers?: Record<string, string>
}

/** Asks a homeserver as an app does, below `/_matrix/client`. */
export async function ask(
  homeserver: string,
  method: string,
  path: string,
  { token, body, headers = {} }: MatrixRequest = {},
): Promise<MatrixAnswer> {
  const response = await fetch(`${homeserver}/_matrix/client/${path}`, {
    method,
    headers: {
      ...headers,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : {}, headers: response.headers }
}

/** Whose token it is by the homeserver's own account. */
export function whoami(homeserver: string, token: string): Promise<MatrixAnswer> {
  return ask(homeserver, 'GET', 'v3/account/whoami', { token })
}
