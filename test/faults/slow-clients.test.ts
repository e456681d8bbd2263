import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createService, makeFolder, removeFolder, type Service } from '../support/faults/service.ts'
import { freePort } from '../support/free-port.ts'

let database: TestDatabase
let service: Service
/** Every place that listens: how to connect, and what has to be sent before HTTP begins. */
let doors: [name: string, where: NetConnectOpts, before: string][]

beforeAll(async () => {
  database = await createTestDatabase()
  const [proxied, metrics] = [await freePort(), await freePort()]
  const folder = await makeFolder()
  const path = join(folder, 'http.sock')
  service = await createService({
    homeserver: 'http://127.0.0.1:1/',
    databaseUri: database.uri,
    folder,
    listeners: [{ host: '127.0.0.1', port: proxied, proxy_protocol: true }, { unix: path }],
    config: { metrics: { host: '127.0.0.1', port: metrics } },
  })
  await service.start()
  const { hostname: host, port } = new URL(service.url)
  doors = [
    ['a port', { host, port: Number(port) }, ''],
    ['the PROXY protocol', { host: '127.0.0.1', port: proxied }, 'PROXY TCP4 203.0.113.9 192.0.2.1 1 80\r\n'],
    ['a Unix socket', { path }, ''],
    ['the metrics', { host: '127.0.0.1', port: metrics }, ''],
  ]
})
afterAll(async () => {
  await service?.stop()
  await database?.close()
  await removeFolder(service.folder)
})

const LONGEST_MS = 36_000
const COUNT = 300

/** Sends a beginning, then a byte every second; answers how many milliseconds it was borne with. */
function trickle(
  where: NetConnectOpts,
  beginning: string,
  byte: string,
): { socket: Socket; borne: Promise<number> } {
  const started = performance.now()
  const socket = connect(where)
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
    const [, where, before] = doors[Math.floor(index / kinds.length) % doors.length] ?? []
    return trickle(where ?? { port: 0 }, `${before}${beginning}`, byte)
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

test('check 38: huge headers and bodies are refused at every place that listens', async () => {
  const ask = async (where: NetConnectOpts, request: string) => {
    const socket = connect(where)
    socket.on('error', () => undefined)
    socket.write(request)
    return text(socket).catch(() => '')
  }
  for (const [name, where, before] of doors) {
    const header = `${before}GET /health HTTP/1.1\r\nhost: x\r\nx-big: ${'x'.repeat(40_000)}\r\n\r\n`
    // Where the connection is closed at once, the answer may be lost on the way.
    expect([name, await ask(where, header)]).toEqual([name, expect.stringMatching(/^(HTTP\/1\.1 431 |$)/)])
    const body = 'x'.repeat(200_000)
    const post = `${before}POST /oauth2/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 200000\r\n\r\n${body}`
    expect([name, await ask(where, post)]).toEqual([name, expect.stringMatching(/^(HTTP\/1\.1 4\d\d |$)/)])
  }
})
