import type { Exchange } from '../../homeserver/exchange.ts'
import type { Tracing } from '../tracing.ts'

/**
 * Puts a span around each call to the homeserver, and tells it which: its own spans then belong to the same trace. The
 * query and the body stay out: they name people and their devices.
 */
export function traceHomeserver(exchange: Exchange, tracing: Tracing): Exchange {
  return (url, question) => {
    const { pathname, hostname, port, protocol } = url
    const { method } = question
    // The names of calls are ours; all of them lie in one folder.
    const template = `/_synapse/mas/${pathname.split('/').at(-1)}`
    const facts = {
      'http.request.method': method,
      'url.template': template,
      'server.address': hostname,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    }
    return tracing.within({ name: `${method} ${template}`, kind: 'client', facts }, async (span) => {
      const headers = { ...question.headers, traceparent: span.traceparent }
      const answer = await exchange(url, { ...question, headers })
      span.note({ 'http.response.status_code': answer.status })
      // Seen from the caller a 4xx is an error too.
      if (answer.status >= 400) span.failAs(String(answer.status))
      return answer
    })
  }
}
