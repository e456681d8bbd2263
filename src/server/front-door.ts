import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { createHomeserverIntrospection } from '../oauth/introspection/homeserver-endpoint.ts'
import { hasForbiddenBytes } from './door/forbidden-bytes.ts'
import type { RequestIds } from './door/request-id.ts'
import type { PublicAddress } from './public-address.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
const WELL_KNOWN = '/.well-known/oauth-authorization-server'

/** An error in the words of whom was asked: Matrix JSON on the client-server API, OAuth JSON elsewhere. */
function answerRefused(
  res: ServerResponse,
  { url, status, error, description }: { url: string; status: number; error: string; description: string },
): void {
  const matrix = url.startsWith('/_matrix/')
  const errcode = status === 405 ? 'M_UNRECOGNIZED' : 'M_UNKNOWN'
  const body = JSON.stringify(
    matrix ? { errcode, error: description } : { error, error_description: description },
  )
  res.writeHead(status, {
    'content-type': 'application/json',
    ...(matrix ? { 'access-control-allow-origin': '*' } : {}),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    connection: 'close',
  })
  res.end(body)
}

export interface FrontDoorDeps {
  address: PublicAddress
  /** Absent where no homeserver is configured. */
  introspection: ReturnType<typeof createHomeserverIntrospection> | undefined
  requestId: RequestIds
  log: Logger
  /** Everything else. */
  handle: RequestListener
}

/**
 * The first thing that every request meets: refuses what nothing behind it should see, replaces what the request
 * says about our own address by what the configuration says (invariant 10), and answers the homeserver.
 */
export function createFrontDoor(deps: FrontDoorDeps): RequestListener {
  const { address, introspection, requestId, log, handle } = deps
  const { basePath } = address
  const mount = basePath.slice(0, -1)
  const introspectPath = `${basePath}oauth2/introspect`

  /** The request's path below the public address; undefined when it is not one of ours. */
  function innerUrl(url: string): string | undefined {
    // RFC 8414 §3.1: the metadata of an issuer with a path is found after the host.
    const [path, query] = url.split('?', 2)
    if (mount && (path === `${WELL_KNOWN}${mount}` || path === `${WELL_KNOWN}${basePath}`)) {
      return query === undefined ? WELL_KNOWN : `${WELL_KNOWN}?${query}`
    }
    if (url.startsWith('/_matrix/')) return url
    if (!mount) return url
    // The client-server API has its place at the root of the host and no second one.
    if (url.startsWith(`${basePath}_matrix/`)) return undefined
    if (url.startsWith(basePath)) return url.slice(mount.length)
    return url === mount || url.startsWith(`${mount}?`) ? `/${url.slice(mount.length)}` : undefined
  }

  return function frontDoor(req: IncomingMessage, res: ServerResponse): void {
    const url = req.url ?? '/'
    function refuse(status: number, error: string, description: string): void {
      const id = requestId(req)
      res.setHeader('x-request-id', id)
      log.debug({ requestId: id, status, reason: description }, 'request.refused')
      answerRefused(res, { url, status, error, description })
    }
    if (!METHODS.has(req.method ?? '')) {
      res.setHeader('allow', [...METHODS].join(', '))
      return refuse(405, 'invalid_request', 'This method is not used here')
    }
    if (
      introspection &&
      req.method === 'POST' &&
      (url === introspectPath || url.startsWith(`${introspectPath}?`)) &&
      introspection.claims(req)
    ) {
      void introspection.handle(req, res)
      return
    }
    // An absolute-form target (RFC 9112 §3.2.2) would smuggle in a host.
    if (!url.startsWith('/') || url.startsWith('//')) {
      return refuse(400, 'invalid_request', 'The request target must be a path')
    }
    if (hasForbiddenBytes(url)) return refuse(400, 'invalid_request', 'The address is not valid UTF-8')
    const inner = innerUrl(url)
    if (inner === undefined) return refuse(404, 'not_found', `Everything here is below ${basePath}`)
    // The library reads the mount path off these two.
    Object.assign(req, { originalUrl: `${mount}${inner}`, url: inner })
    req.headers.host = address.host
    req.headers['x-forwarded-proto'] = address.secure ? 'https' : 'http'
    delete req.headers['x-forwarded-host']
    delete req.headers.forwarded
    handle(req, res)
  }
}
