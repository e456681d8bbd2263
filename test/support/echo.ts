import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it arrived behind a proxy, and at whose door. */
export interface Echoed {
  name: string
  method: string
  /** The request target as it was sent. */
  url: string
  headers: IncomingHttpHeaders
}

export interface Echo {
  /** Host and port. */
  address: string
  close(): Promise<void>
}

/** A server behind a proxy that answers every request with what it saw. */
export async function startEcho(name: string): Promise<Echo> {
  const server = createServer((req, res) => {
    const { method = '', url = '', headers } = req
    const seen: Echoed = { name, method, url, headers }
    req.resume()
    res.setHeader('content-type', 'application/json').setHeader('x-echo', name)
    res.end(JSON.stringify(seen))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
