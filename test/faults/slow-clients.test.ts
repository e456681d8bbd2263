import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createService, removeFolder, type Service } from '../support/faults/service.ts'

let database: TestDatabase
let service: Service

beforeAll(async () => {
  database = await createTestDatabase()
  service = await createService({ homeserver: 'http://127.0.0.1:1/', databaseUri: database.uri })
  await service.start()
})
afterAll(async () => {
  await service?.stop()
  await database?.close()
  await removeFolder(service.folder)
})

const LONGEST_MS = 36_000
const COUNT = 300

/** Sends a beginning, then a byte every second; answers how many milliseconds it was borne with. */
function trickle(beginning: string, byte: string): { socket: Socket; borne: Promise<number> } {
  const { hostname, port } = new URL(service.url)
  const started = performance.now()
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  socket.on('data', () => undefined)
  socket.write(beginning)
  const timer = setInterval(() => socket.write(byte), 1000)
  const borne = new Promise<number>((resolve) => {
    socket.on('close', () => {
      clearInterval(timer)
      resolve(performance.now() - started)
    })
  })
  return { socket, borne }
}

test('check 38: slow senders are cut off, whatever they are slow with, and slow nobody down meanwhile', {
  timeout: 60_000,
}, async () => {
  const post = (path: string) =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n`
  const kinds: [string, string][] = [
    ['GET /health HTTP/1.1\r\nhost: x\r\n', 'x-slow: 1\r\n'],
    [`${post('/oauth2/token')}\r\n`, ' '],
    [`${post('/_matrix/client/v3/login')}\r\n{`, ' '],
    [`${post('/oauth2/introspect')}authorization: Bearer x\r\n\r\n`, ' '],
  ]
  const slow = Array.from({ length: COUNT }, (_, index) => {
    const [beginning, byte] = kinds[index % kinds.length] ?? ['', '']
    return trickle(beginning, byte)
  })
  const times: number[] = []
  for (let round = 0; round < 100; round++) {
    const before = performance.now()
    expect((await fetch(`${service.url}ready`)).status).toBe(200)
    times.push(performance.now() - before)
  }
  expect(times.toSorted((a, b) => a - b)[50]).toBeLessThan(100)
  const borne = await Promise.all(slow.map((one) => one.borne))
  expect(Math.max(...borne)).toBeLessThan(LONGEST_MS)
})
