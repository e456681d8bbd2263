import type { Fetch } from '../../homeserver/transport.ts'
import type { Tracing } from '../tracing.ts'

/**
 * Puts a span around each call to the homeserver, and tells it which: its own spans then belong to the same trace. The
 * query and the body stay out: they name people and their devices.
 */
export function traceHomeserver(fetch: Fetch, tracing: Tracing): Fetch {
  return (input, init) => {
    const { pathname, hostname, port, protocol } = new URL(input instanceof Request ? input.url : input)
    const method = init?.method ?? 'GET'
    // The names of calls are ours; all of them lie in one folder.
    const template = `/_synapse/mas/${pathname.split('/').at(-1)}`
    const facts = {
      'http.request.method': method,
      'url.template': template,
      'server.address': hostname,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    }
    return tracing.within({ name: `${method} ${template}`, kind: 'client', facts }, async (span) => {
      const headers = new Headers(init?.headers)
      headers.set('traceparent', span.traceparent)
      const response = await fetch(input, { ...init, headers })
      span.note({ 'http.response.status_code': response.status })
      // Seen from the caller a 4xx is an error too.
      if (response.status >= 400) span.failAs(String(response.status))
      return response
    })
  }
}
