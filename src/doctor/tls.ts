import { connect, type PeerCertificate } from 'node:tls'
import { type DoctorDeps, type Finding, ok, problem, skipped } from './finding.ts'

const DAY_MS = 24 * 3600 * 1000
const SOON_DAYS = 14
const PATIENCE_MS = 10_000

interface Handshake {
  certificate: PeerCertificate
  /** Why the chain is not believed, if so. */
  distrust: string | undefined
}

/** Whether browsers and the homeserver will believe the certificate of the public address, and for how long. */
export async function checkTls({ config, now }: DoctorDeps): Promise<Finding[]> {
  const url = new URL(config.http.public_url)
  if (url.protocol !== 'https:') {
    const local = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
    if (local) return [skipped('tls', 'the public address is this machine only')]
    return [
      problem(
        'tls',
        `${url.origin} is plain HTTP: passwords and tokens can be read on the way`,
        'Put a reverse proxy with a certificate in front, and write the https address to http.public_url',
      ),
    ]
  }
  let handshake: Handshake
  try {
    handshake = await shakeHands(url)
  } catch (error) {
    return [
      problem(
        'tls',
        `${url.host} makes no TLS connection: ${(error as Error).message}`,
        'Look at the reverse proxy and its log',
      ),
    ]
  }
  const { certificate, distrust } = handshake
  const days = Math.floor((new Date(certificate.valid_to).getTime() - now().getTime()) / DAY_MS)
  if (distrust !== undefined)
    return [
      problem(
        'tls',
        `the certificate of ${url.hostname} is not believed: ${distrust}`,
        'Let the reverse proxy send the whole chain of a certificate for this name. For an authority of your own, set NODE_EXTRA_CA_CERTS, here and for whoever connects',
      ),
    ]
  if (days < SOON_DAYS)
    return [
      problem(
        'tls',
        `the certificate of ${url.hostname} expires in ${days} days`,
        'See why it was not renewed by itself',
      ),
    ]
  return [ok('tls', `the certificate of ${url.hostname} is good for ${days} days`)]
}

function shakeHands(url: URL): Promise<Handshake> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    // What is wrong with the certificate is the question, so that it must not end the connection.
    const socket = connect({
      host,
      port: Number(url.port || 443),
      servername: host,
      rejectUnauthorized: false,
    })
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer')))
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const distrust = socket.authorized ? undefined : String(socket.authorizationError)
      resolve({ certificate: socket.getPeerCertificate(), distrust })
      socket.destroy()
    })
  })
}
