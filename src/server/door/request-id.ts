import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../clock.ts'
import { newId } from '../../ids.ts'
import type { PeerSocket } from './peer.ts'

/** What proxies make (32 hexadecimal digits, UUIDs), and nothing that could pass for another part of a log line. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Names the requests of one server. */
export type RequestIds = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string

/**
 * Makes the function that gives a request its ID: a new one, or the one that a proxy gave it already, so that the lines
 * of both logs are found together. It is taken from trusted peers only: anybody else could write into our log, or hide
 * behind the ID of somebody else's request (ASVS 5.0, V16.4.1).
 */
export function createRequestIds(deps: {
  clock: Clock
  isTrusted: (socket: PeerSocket) => boolean
}): RequestIds {
  return function requestId(request) {
    const given = request.headers['x-request-id']
    if (typeof given === 'string' && REQUEST_ID.test(given) && deps.isTrusted(request.socket)) return given
    return newId(deps.clock.now())
  }
}
