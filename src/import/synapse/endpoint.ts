import type { SynapseListener } from './homeserver-config.ts'

/**
 * The address of the first plain-http listener that serves clients: the `/_synapse/mas/` routes are on every one of
 * them. Undefined where there is none (only TLS, or Unix sockets).
 */
export function endpointOf(listeners: readonly SynapseListener[]): string | undefined {
  const found = listeners.find(
    ({ type, port, tls, resources }) =>
      type === 'http' && port !== undefined && !tls && resources.includes('client'),
  )
  if (!found) return undefined
  const address = found.addresses.find((each) => !each.includes(':')) ?? found.addresses[0] ?? 'localhost'
  return `http://${address.includes(':') ? `[${address}]` : address}:${found.port}/`
}
