import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import {
  createResolve,
  isPublicAddress,
  literalAddress,
  PrivateAddressError,
  publicLookup,
  type Resolve,
} from './public-network.ts'

/** What became of a POST to an app. */
export type Delivery =
  | { result: 'delivered' }
  /** It would be no different the next time. */
  | { result: 'refused'; reason: string }
  /** The same request may work later. */
  | { result: 'failed'; reason: string }

const TIMEOUT_MS = 2500
const MAX_HEADER_BYTES = 8 * 1024
/** Statuses below 500 that mean "later" (RFC 9110 §15.5.9, RFC 8470, RFC 6585). */
const LATER = [408, 425, 429]

function outcome(status: number): Delivery {
  // Back-Channel Logout 1.0 §2.8: 200, and some frameworks can only answer 204 to an empty body.
  if (status >= 200 && status < 300) return { result: 'delivered' }
  const reason = `answered ${status}`
  return status >= 500 || LATER.includes(status)
    ? { result: 'failed', reason }
    : { result: 'refused', reason }
}

function trouble(error: unknown): Delivery {
  if (error instanceof PrivateAddressError) return { result: 'refused', reason: error.message }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { result: 'failed', reason: `gave no answer within ${TIMEOUT_MS / 1000} seconds` }
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return { result: 'failed', reason: `cannot be reached (${code})` }
}

/**
 * Posts a form to an address that an app registered. Whoever registers chooses it, so this must reach nothing that
 * only this service can reach (SSRF, OWASP ASVS 5.0 13.2.5): public addresses only unless `privateToo`, checked after
 * the name was looked up; no redirect is followed; the answer's status is all that is read of it. `fetch` cannot be
 * given a lookup of its own without another dependency, so it is Node's own request.
 */
export function createDelivery({ resolve: names = createResolve() }: { resolve?: Resolve } = {}) {
  const lookup = publicLookup(names)

  return function deliver(
    address: string,
    form: Record<string, string>,
    { privateToo }: { privateToo: boolean },
  ): Promise<Delivery> {
    const url = new URL(address)
    const literal = literalAddress(url)
    // A socket does not look up what is an address already.
    if (!privateToo && literal !== undefined && !isPublicAddress(literal)) {
      return Promise.resolve({ result: 'refused', reason: 'the address is not public' })
    }
    const body = new URLSearchParams(form).toString()
    return new Promise<Delivery>((resolve) => {
      const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
        },
        // A connection of its own: none that was opened by other rules is used again.
        agent: false,
        maxHeaderSize: MAX_HEADER_BYTES,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(privateToo ? {} : { lookup }),
      })
      request.on('response', (response) => {
        resolve(outcome(response.statusCode ?? 0))
        response.destroy()
      })
      request.on('error', (error) => resolve(trouble(error.cause ?? error)))
      // The first word stands; this one is for connections that end without an answer or an error (101, say).
      request.on('close', () => resolve({ result: 'failed', reason: 'closed the connection' }))
      request.end(body)
    })
  }
}

export type Deliver = ReturnType<typeof createDelivery>
