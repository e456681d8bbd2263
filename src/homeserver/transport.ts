import { HomeserverError } from './errors.ts'

export type Fetch = typeof globalThis.fetch

const ATTEMPTS = 5
/** How much of an answer's words is worth a line in the log. */
const MAX_WORDS = 200
/** Bytes. The longest true answer has some hundred; whoever answers more is no homeserver. */
const MAX_ANSWER = 1024 * 1024

export interface Answer {
  status: number
  body: unknown
}

/**
 * Sends requests to `/_synapse/mas/` below `endpoint` and turns everything but the expected answers into a
 * HomeserverError. Connections are kept alive by `fetch`; a kept one that the homeserver closed in the meantime
 * (it restarted) is tried once more, which is safe because every request may be repeated.
 */
export function createTransport({
  endpoint,
  secret,
  timeoutSeconds,
  fetch,
}: {
  endpoint: string
  secret: string
  timeoutSeconds: number
  fetch: Fetch
}) {
  const base = new URL('_synapse/mas/', endpoint.endsWith('/') ? endpoint : `${endpoint}/`)

  async function request(method: string, url: URL, body: object | undefined): Promise<[Response, string]> {
    const headers: Record<string, string> = { authorization: `Bearer ${secret}`, accept: 'application/json' }
    if (body) headers['content-type'] = 'application/json'
    const response = await fetch(url, {
      method,
      headers,
      body: body ? JSON.stringify(body) : null,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    })
    return [response, await readText(response)]
  }

  /** There may be several kept connections, all closed at once, and `fetch` learns of each only by using it. */
  async function requestAgain(
    method: string,
    url: URL,
    body: object | undefined,
  ): Promise<[Response, string]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await request(method, url, body)
      } catch (error) {
        if (attempt === ATTEMPTS || !wasClosed(error)) throw error
      }
    }
  }

  return {
    /** Throws HomeserverError unless the answer's status is expected and its body a JSON object (or empty at 204). */
    async send(
      method: 'GET' | 'POST',
      name: string,
      {
        query,
        body,
        expected,
      }: { query?: Record<string, string>; body?: object; expected: readonly number[] },
    ): Promise<Answer> {
      const url = new URL(name, base)
      for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value)
      const [response, text] = await requestAgain(method, url, body).catch((error: unknown) => {
        throw unreachable(base, error, timeoutSeconds)
      })
      // Whatever answers there may repeat what it was sent, and what it says is logged.
      const json = parseObject(text.replaceAll(secret, '[secret]'))
      if (expected.includes(response.status) && (json || response.status === 204)) {
        return { status: response.status, body: json }
      }
      throw failure(name, response.status, json)
    },
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_ANSWER) throw new Error('its answer has no end')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function causeCode(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
}

/** `fetch` itself says only "fetch failed"; what happened stands in the cause. */
function causeMessage(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}

function wasClosed(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(causeCode(error) ?? '')
}

function unreachable(base: URL, error: unknown, timeoutSeconds: number): HomeserverError {
  const why =
    error instanceof DOMException && error.name === 'TimeoutError'
      ? `gave no answer within ${timeoutSeconds} seconds`
      : `cannot be reached (${causeCode(error) ?? causeMessage(error)})`
  return new HomeserverError('homeserver_unavailable', `The homeserver at ${base.origin} ${why}`, {
    cause: error,
  })
}

/** What an unexpected answer means: Synapse's own errors, or somebody else who answers in its place. */
function failure(name: string, status: number, json: Record<string, unknown> | undefined): HomeserverError {
  const errcode = typeof json?.errcode === 'string' ? json.errcode : undefined
  const words = typeof json?.error === 'string' ? `: ${json.error.slice(0, MAX_WORDS)}` : ''
  const said = `${status}${errcode ? ` ${errcode}` : ''}${words}`
  if (status >= 500 || status === 429) {
    return new HomeserverError('homeserver_unavailable', `The homeserver failed at ${name} (${said})`, {
      errcode,
    })
  }
  if (status === 401 || (status === 403 && errcode === 'M_UNKNOWN')) {
    return new HomeserverError(
      'homeserver_misconfigured',
      `The homeserver refused this service's secret (${said}). Check that matrix.secret is the same as matrix_authentication_service.secret in homeserver.yaml, and restart the homeserver after a change`,
      { errcode },
    )
  }
  if ((status === 404 || status === 405) && errcode !== 'M_NOT_FOUND') {
    return new HomeserverError(
      'homeserver_misconfigured',
      `The homeserver has no /_synapse/mas/${name} (${said}). Check that matrix.endpoint leads to Synapse 1.136 or newer, that matrix_authentication_service.enabled is true in its homeserver.yaml, and that a proxy between them lets /_synapse/mas/ through`,
      { errcode },
    )
  }
  if (status >= 300 && status < 400) {
    return new HomeserverError(
      'homeserver_misconfigured',
      `Instead of the homeserver a redirect answered ${name} (${status}). Check that matrix.endpoint is the homeserver's own address`,
    )
  }
  if (status >= 400 && errcode) {
    return new HomeserverError('homeserver_refused', `The homeserver refused ${name} (${said})`, { errcode })
  }
  return new HomeserverError(
    'homeserver_unavailable',
    `The answer to ${name} (${status}) does not come from a homeserver. Check matrix.endpoint`,
  )
}
