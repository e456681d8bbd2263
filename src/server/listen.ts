import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PosternError } from '../errors.ts'

/** Milliseconds. Slow senders are cut off: Node's own defaults are a minute and more (ASVS 5.0, V15.2). */
const HEADERS_TIMEOUT = 10_000
const REQUEST_TIMEOUT = 30_000
const KEEP_ALIVE_TIMEOUT = 75_000
const IDLE_CHECK = 50
const MAX_HEADER_BYTES = 16_384
const MAX_CONNECTIONS = 10_000

export class ListenError extends PosternError {
  constructor(message: string, cause: unknown) {
    super('listen_failed', message, { status: 500, cause })
  }
}

/** Where a service listens. `close` stops accepting, lets requests in flight finish, then cuts what is left. */
export interface Listening {
  host: string
  port: number
  close(timeoutMs: number): Promise<void>
}

function closeServer(server: Server, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), timeoutMs)
    // A kept-alive connection falls idle when its request is answered; Node would keep it for the next one.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK)
    server.close(() => {
      clearTimeout(cut)
      clearInterval(idle)
      resolve()
    })
  })
}

/**
 * Starts to listen with limits that a slow or huge request cannot get past.
 * @throws ListenError when the address cannot be had
 */
export async function listen(
  { host, port }: { host: string; port: number },
  handler: RequestListener,
): Promise<Listening> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
      connectionsCheckingInterval: 2000,
    },
    handler,
  )
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'something else listens there already' : error.message
      reject(new ListenError(`Cannot listen on ${host}:${port}: ${reason}. Change http.listeners`, error))
    })
    server.listen(port, host, resolve)
  })
  const { port: bound } = server.address() as AddressInfo
  return { host, port: bound, close: (timeoutMs) => closeServer(server, timeoutMs) }
}
