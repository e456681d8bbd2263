import type { IncomingMessage } from 'node:http'
import { PosternError } from '../../errors.ts'

/** A body is larger than its endpoint reads. Answered 413 where the endpoint says nothing else. */
export class BodyTooLargeError extends PosternError {
  constructor(limit: number) {
    super('invalid_request', `the body must not be larger than ${limit} bytes`, { status: 413 })
  }
}

/**
 * Reads a request's body. One that is too large is refused at once and its rest thrown away as it comes, so that
 * the client sees the answer (a connection closed on it would lose it); the server's request timeout ends a flood.
 * @param limit in bytes
 * @throws BodyTooLargeError; PosternError `invalid_request` where the client went away
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > limit) return reject(new BodyTooLargeError(limit))
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) {
        chunks.push(chunk)
      } else {
        chunks.length = 0
        reject(new BodyTooLargeError(limit))
      }
    })
    // One chunk, as it usually is, needs no copy.
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    request.on('error', reject)
    // It closes after its end, too: an error made in vain costs more than the reading.
    request.on('close', () => {
      if (!request.readableEnded) reject(new PosternError('invalid_request', 'the body ended early'))
    })
  })
}
