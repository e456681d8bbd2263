import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A homeserver that agrees to everything, at once: sign-ins make their devices there. */
export async function startHomeserver(): Promise<{ url: string; close(): void }> {
  const server = createServer((req, res) => {
    req.resume()
    res.writeHead(201, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
