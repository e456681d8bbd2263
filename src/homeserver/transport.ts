import { HomeserverError } from './errors.ts'
import { type Exchange, SilenceError } from './exchange.ts'

const ATTEMPTS = 5
/** How much of an answer's words is worth a line in the log. */
const MAX_WORDS = 200

export interface Answer {
  status: number
  body: unknown
}

/**
 * Sends requests to `/_synapse/mas/` below `endpoint` and turns everything but the expected answers into a
 * HomeserverError. Connections are kept alive; a kept one that the homeserver closed in the meantime (it restarted) is
 * tried once more, which is safe because every request may be repeated.
 */
export function createTransport({
  endpoint,
  secret,
  timeoutSeconds,
  exchange,
}: {
  endpoint: string
  secret: string
  timeoutSeconds: number
  exchange: Exchange
}) {
  const base = new URL('_synapse/mas/', endpoint.endsWith('/') ? endpoint : `${endpoint}/`)

  function request(method: 'GET' | 'POST', url: URL, body: object | undefined) {
    const headers: Record<string, string> = { authorization: `Bearer ${secret}`, accept: 'application/json' }
    if (body) headers['content-type'] = 'application/json'
    const text = body && JSON.stringify(body)
    return exchange(url, { method, headers, body: text, timeoutMs: timeoutSeconds * 1000 })
  }

  /** There may be several kept connections, all closed at once, and each is learnt of only by using it. */
  async function requestAgain(method: 'GET' | 'POST', url: URL, body: object | undefined) {
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
      const { status, text } = await requestAgain(method, url, body).catch((error: unknown) => {
        throw unreachable(base, error, timeoutSeconds)
      })
      // Whatever answers there may repeat what it was sent, and what it says is logged.
      const json = parseObject(text.replaceAll(secret, '[secret]'))
      if (expected.includes(status) && (json || status === 204)) return { status, body: json }
      throw failure(name, status, json)
    },
  }
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

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

function wasClosed(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '')
}

function unreachable(base: URL, error: unknown, timeoutSeconds: number): HomeserverError {
  const why =
    error instanceof SilenceError
      ? `gave no answer within ${timeoutSeconds} seconds`
      : `cannot be reached (${codeOf(error) ?? (error instanceof Error ? error.message : String(error))})`
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
