import { stat, unlink } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, type ListenOptions } from 'node:net'
import type { ListenerConfig } from '../config/sections/http.ts'
import { PosternError } from '../errors.ts'
import { LOCAL, type PeerSocket, setPeerAddress } from './door/peer.ts'
import type { InheritedSocket } from './inherited-sockets.ts'
import { expectProxyHeaders } from './proxy-protocol.ts'

/** Milliseconds. Slow senders are cut off: Node's own defaults are a minute and more (ASVS 5.0, V15.2). */
const HEADERS_TIMEOUT = 10_000
/** With the interval below, and some time for a busy machine, nobody is borne with for more than thirty seconds. */
const REQUEST_TIMEOUT = 27_000
const KEEP_ALIVE_TIMEOUT = 75_000
const IDLE_CHECK = 50
const MAX_HEADER_BYTES = 16_384
const MAX_CONNECTIONS = 10_000

export class ListenError extends PosternError {
  constructor(message: string, cause?: unknown) {
    super('listen_failed', message, { status: 500, cause })
  }
}

/** Where a service listens. `close` stops accepting, lets requests in flight finish, then cuts what is left. */
export interface Listening {
  /** A URL, or the path of a Unix socket after `unix:`. */
  where: string
  close(timeoutMs: number): Promise<void>
}

export interface ListenDeps {
  handler: RequestListener
  /** Who may tell the client's address in a PROXY header. */
  isTrusted: (peer: PeerSocket) => boolean
  /** Sockets that systemd opened. */
  inherited: readonly InheritedSocket[]
}

/**
 * Starts to listen where one entry of `http.listeners` says, with limits that a slow or huge request cannot get past.
 * @throws ListenError when the address cannot be had
 */
export async function listen(entry: ListenerConfig, deps: ListenDeps): Promise<Listening[]> {
  if (entry.systemd !== undefined) {
    const sockets = deps.inherited.filter(({ name }) => name === entry.systemd)
    if (sockets.length === 0) {
      const names = deps.inherited.map(({ name }) => name).join(', ') || 'none'
      throw new ListenError(
        `systemd gave no socket named ${entry.systemd} (there are: ${names}). Set FileDescriptorName= in the socket unit, or change http.listeners`,
      )
    }
    return Promise.all(sockets.map(({ fd }) => listenAt({ fd }, entry, deps)))
  }
  if (entry.unix === undefined) return [await listenAt({ host: entry.host, port: entry.port }, entry, deps)]
  await removeStale(entry.unix)
  return [await listenAt({ path: entry.unix }, entry, deps)]
}

async function listenAt(
  where: ListenOptions & { fd?: number },
  { unix_mode: mode = '660', proxy_protocol }: ListenerConfig,
  { handler, isTrusted }: ListenDeps,
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
  if (proxy_protocol) expectProxyHeaders(server, isTrusted)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'something else listens there already' : error.message
      reject(new ListenError(`Cannot listen on ${named(where)}: ${reason}. Change http.listeners`, error))
    })
    // The socket has its mode from the start: a chmod afterwards would leave a moment in which anybody connects.
    const before = where.path === undefined ? undefined : process.umask(0o777 & ~Number.parseInt(mode, 8))
    server.listen(where, resolve)
    if (before !== undefined) process.umask(before)
  })
  const bound = server.address() as AddressInfo | string
  if (typeof bound === 'string') {
    server.prependListener('connection', (socket: PeerSocket) => setPeerAddress(socket, LOCAL))
  }
  const shown = typeof bound === 'string' ? `unix:${bound}` : urlOf(where.host ?? bound.address, bound.port)
  return { where: shown, close: (timeoutMs) => closeServer(server, timeoutMs) }
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

/** A process that was killed leaves its socket's file behind, on which nobody else could listen. */
async function removeStale(path: string): Promise<void> {
  // A plain file refuses connections too, and is somebody's.
  const found = await stat(path).catch(() => undefined)
  if (!found?.isSocket()) return
  const code = await new Promise<string | undefined>((resolve) => {
    const probe = connect({ path }, () => {
      probe.destroy()
      resolve(undefined)
    })
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  })
  if (code === 'ECONNREFUSED') await unlink(path).catch(() => undefined)
}

function named({ path, fd, host, port }: ListenOptions & { fd?: number }): string {
  if (path !== undefined) return `unix:${path}`
  return fd === undefined ? `${host}:${port}` : `systemd's socket (file descriptor ${fd})`
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
