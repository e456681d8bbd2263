import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Unit } from './machine.ts'

/** The address at which apps reach the homeserver, before and after the switch. */
export interface PublicAddress {
  /** Ends without a slash. */
  url: string
  /** Where the proxy's configuration file sends requests. Holds after a reload. */
  configured: { target: string }
  /** What `systemctl reload nginx` does. */
  unit: Unit
  close(): Promise<void>
}

/** @param target where requests go until the operator changes it */
export async function startPublicAddress(target: string): Promise<PublicAddress> {
  const configured = { target }
  let active = target
  const server = createServer((req, res) => forward(req, res, active))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    configured,
    unit: {
      reload() {
        active = configured.target
      },
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function forward(req: IncomingMessage, res: ServerResponse, target: string): void {
  const { method, headers } = req
  const onward = request(new URL(req.url ?? '/', target), { method, headers }, (answer) => {
    res.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(res)
  })
  onward.on('error', () => (res.headersSent ? res.destroy() : res.writeHead(502).end()))
  res.on('close', () => onward.destroy())
  req.pipe(onward)
}
