import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { setPeerAddress } from './door/peer.ts'
import { parseProxyHeader } from './door/proxy-header.ts'

/** Milliseconds that a connection may take for its PROXY header, which a proxy sends at once. */
const PATIENCE_MS = 3_000

/**
 * Takes the PROXY header off every connection before HTTP begins. It is believed from trusted peers only, and a
 * connection without one is closed: otherwise anybody could claim an address, or get in without one.
 */
export function expectProxyHeaders(server: Server, isTrusted: (socket: Socket) => boolean): void {
  const [speakHttp] = server.listeners('connection') as ((socket: Socket) => void)[]
  if (!speakHttp) throw new Error('Node.js has changed how an HTTP server takes connections')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!isTrusted(socket)) return socket.destroy()
    const late = setTimeout(() => socket.destroy(), PATIENCE_MS)
    const broken = () => undefined
    let seen = Buffer.alloc(0)
    const onReadable = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read())
        seen = Buffer.concat([seen, chunk])
      const header = parseProxyHeader(seen)
      if (header === 'more') return
      done()
      if (header === 'none') return socket.destroy()
      if (header.address !== undefined) setPeerAddress(socket, header.address)
      speakHttp.call(server, socket)
      if (seen.length > header.length) socket.unshift(seen.subarray(header.length))
    }
    const done = () => {
      clearTimeout(late)
      socket.off('readable', onReadable)
      socket.off('error', broken)
      socket.off('close', done)
    }
    socket.on('readable', onReadable)
    socket.on('error', broken)
    socket.on('close', done)
  })
}
