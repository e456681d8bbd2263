import http from 'node:http'
import https from 'node:https'
import type { SynapseListener } from './homeserver-config.ts'

const PATIENCE_MS = 2_000

/** Asks every listener of Synapse's configuration for `/health`, and says where a Synapse answers. */
export async function listenersThatAnswer(listeners: readonly SynapseListener[]): Promise<string[]> {
  const places = listeners.filter(({ type }) => type === 'http').flatMap(placesOf)
  const answers = await Promise.all(
    places.map(async (place) => ((await isHealthy(place)) ? place : undefined)),
  )
  return answers.filter((place) => place !== undefined).map(({ name }) => `${name}/health answers`)
}

interface Place {
  name: string
  tls: boolean
  options: http.RequestOptions
}

function placesOf({ port, socket, tls, addresses }: SynapseListener): Place[] {
  if (socket !== undefined) return [{ name: `unix:${socket}`, tls, options: { socketPath: socket } }]
  if (port === undefined) return []
  const hosts = addresses.length > 0 ? addresses : ['127.0.0.1']
  return hosts.map((host) => {
    const shown = host.includes(':') ? `[${host}]` : host
    return { name: `${tls ? 'https' : 'http'}://${shown}:${port}`, tls, options: { host, port } }
  })
}

function isHealthy({ tls, options }: Place): Promise<boolean> {
  return new Promise((resolve) => {
    // Whose certificate it is does not matter: nothing is sent, and the question is only whether somebody is there.
    const get = tls ? https.get : http.get
    const settings = {
      ...options,
      path: '/health',
      timeout: PATIENCE_MS,
      rejectUnauthorized: false,
      agent: false,
    }
    const request = get(settings, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body = (body + chunk).slice(0, 100)
      })
      response.on('error', () => resolve(false))
      // Synapse's answer, and not that of something else which has the port now.
      response.on('end', () => resolve(response.statusCode === 200 && body === 'OK'))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })
}
