import { normaliseAddress } from './address.ts'

/** What of a connection tells who is at its other end. */
export interface PeerSocket {
  remoteAddress?: string | undefined
}

/** Stands for the peer of a Unix socket, which has no address. */
export const LOCAL = 'local'

/** What is known of connections beyond what the operating system says. */
const addresses = new WeakMap<PeerSocket, string>()

/** Notes who is at the other end: `LOCAL`, or the address that a trusted PROXY header gave. */
export function setPeerAddress(socket: PeerSocket, address: string): void {
  addresses.set(socket, address)
}

/** The address of a connection's other end in its shortest form; undefined once it is gone. */
export function peerAddress(socket: PeerSocket): string | undefined {
  return addresses.get(socket) ?? normaliseAddress(socket.remoteAddress ?? '')
}
