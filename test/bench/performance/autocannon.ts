import autocannon from 'autocannon'
import type { LoadGenerator } from './load.ts'

/**
 * The same load by autocannon, the load generator of the field for Node.js. It was seen to
 * ask a server at most 23,000 times a second: what a server does beyond that, it does not show.
 */
export const autocannonLoad: LoadGenerator = async (port, connections, seconds, conversation) => {
  let failure: Error | undefined

  function setupClient(client: autocannon.Client): void {
    const { request, answer } = conversation()
    client.setRequests([
      {
        method: 'POST',
        setupRequest(asked) {
          const { path, headers, body } = request()
          // A copy: autocannon writes its own into them.
          return { ...asked, path, headers: { ...headers }, body }
        },
        onResponse(status, body) {
          try {
            answer(status, body)
          } catch (error) {
            failure ??= error as Error
          }
        },
      },
    ])
  }

  const { requests, latency } = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration: seconds,
    setupClient,
  })
  if (failure) throw failure
  return { perSecond: requests.total / seconds, median: latency.p50, p99: latency.p99 }
}
