import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type RequestListener, request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ListenerConfig } from '../../src/config/sections/http.ts'
import { createClientAddress, createPeerTrust } from '../../src/server/door/client-address.ts'
import { listen } from '../../src/server/listen.ts'
import { freePort, startPostern } from '../support/postern.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-listen-'))
  await chmod(folder, 0o711)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Listens, and answers everyone with the address that they are known by and what they sent. */
async function echo(entry: Partial<ListenerConfig>, trustedProxies = ['127.0.0.0/8']) {
  const clientAddress = createClientAddress({ trustedProxies })
  const handler: RequestListener = async (req, res) => {
    const body = await text(req)
    res.end(`${clientAddress(req)} ${req.method} ${req.url} ${body}`)
  }
  const isTrusted = createPeerTrust({ trustedProxies })
  const [listening] = await listen(
    { host: '127.0.0.1', port: 0, ...entry },
    { handler, isTrusted, inherited: [] },
  )
  if (!listening) throw new Error('Nobody listens')
  onTestFinished(() => listening.close(0))
  return listening
}

/** A GET over a Unix socket. */
function get(socketPath: string, path = '/', headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, headers }, (response) => resolve(text(response)))
      .once('error', reject)
      .end()
  })
}

/** Sends these pieces on one connection, each on its own, and gives all that comes back. */
async function send(to: string, ...pieces: (string | Buffer)[]): Promise<string> {
  const socket = to.startsWith('unix:')
    ? connect({ path: to.slice(5) })
    : connect({ port: Number(new URL(to).port), host: '127.0.0.1' })
  socket.setNoDelay(true)
  const back = text(socket).catch(() => 'broken')
  await once(socket, 'connect')
  for (const piece of pieces) {
    socket.write(piece)
    await new Promise(setImmediate)
  }
  return back
}
const HTTP = 'GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

describe('a Unix socket', () => {
  test('is for its owner and group, and its peer may say whom it speaks for', async () => {
    const path = join(folder, 'http.sock')
    expect((await echo({ unix: path })).where).toBe(`unix:${path}`)
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('660')
    expect(await get(path, '/a')).toBe('local GET /a ')
    expect(await get(path, '/a', { 'x-forwarded-for': '203.0.113.9' })).toBe('203.0.113.9 GET /a ')
    const open = join(folder, 'open.sock')
    await echo({ unix: open, unix_mode: '666' })
    expect(((await stat(open)).mode & 0o777).toString(8)).toBe('666')
  })

  test('that a killed process left behind is replaced, one in use is not, and neither is a file', async () => {
    const path = join(folder, 'stale.sock')
    const dying = spawn(process.execPath, [
      '-e',
      `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ])
    await once(dying, 'exit')
    expect((await stat(path)).isSocket()).toBe(true)
    await echo({ unix: path })
    expect(await get(path)).toBe('local GET / ')
    await expect(echo({ unix: path })).rejects.toThrow('something else listens there already')
    const file = join(folder, 'a file')
    await writeFile(file, 'something of somebody')
    await expect(echo({ unix: file })).rejects.toThrow('Cannot listen on unix:')
    expect(await readFile(file, 'utf8')).toBe('something of somebody')
  })
})

describe('the PROXY protocol', () => {
  const v2 = (command: number, family: number, addresses: number[]) =>
    Buffer.concat([
      Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
      Buffer.from([command, family, 0, addresses.length]),
      Buffer.from(addresses),
    ])
  const ipv4 = [203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x34, 0, 80]
  const ipv6 = [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 9, ...Array(16).fill(0), 0x12, 0x34, 0, 80]

  test.each<[string, string | Buffer, string]>([
    ['version 1, IPv4', 'PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n', '203.0.113.9'],
    ['version 1, IPv6', 'PROXY TCP6 2001:db8::9 2001:db8::1 4660 80\r\n', '2001:db8::9'],
    ['version 1, unknown', 'PROXY UNKNOWN\r\n', '127.0.0.1'],
    ['version 2, IPv4', v2(0x21, 0x11, ipv4), '203.0.113.9'],
    ['version 2, IPv4 and extras', v2(0x21, 0x11, [...ipv4, 4, 0, 1, 0]), '203.0.113.9'],
    ['version 2, IPv6', v2(0x21, 0x21, ipv6), '2001:db8::9'],
    ['version 2, the proxy itself', v2(0x20, 0, []), '127.0.0.1'],
  ])('gives the address of the client: %s', async (_what, header, address) => {
    const { where } = await echo({ proxy_protocol: true })
    const bytes = Buffer.from(header)
    const expected = `${address} GET /hello`
    expect(await send(where, Buffer.concat([bytes, Buffer.from(HTTP)]))).toContain(expected)
    // However it is cut up on the way.
    expect(await send(where, bytes.subarray(0, 5), bytes.subarray(5), HTTP)).toContain(expected)
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n'
    expect(await send(where, bytes, post, 'he', 'llo')).toContain(`${address} POST / hello`)
  })

  test('serves several requests on one connection, and believes X-Forwarded-For of trusted clients only', async () => {
    const { where } = await echo({ proxy_protocol: true })
    const forwarded = HTTP.replace('Host: a', 'Host: a\r\nX-Forwarded-For: 198.51.100.7')
    const both = forwarded.replace('Connection: close\r\n', '') + forwarded
    const answer = await send(where, `PROXY TCP4 203.0.113.9 192.0.2.1 1 80\r\n${both}`)
    expect(answer.match(/203\.0\.113\.9 GET/g)).toHaveLength(2)
    expect(await send(where, `PROXY TCP4 127.0.0.1 192.0.2.1 1 80\r\n${forwarded}`)).toContain(
      '198.51.100.7 GET',
    )
  })

  test.each<[string, string | Buffer]>([
    ['no header', HTTP],
    ['a broken address', `PROXY TCP4 203.0.113 192.0.2.1 1 80\r\n${HTTP}`],
    ['no ports', `PROXY TCP4 203.0.113.9 192.0.2.1\r\n${HTTP}`],
    ['a line without an end', `PROXY TCP4 ${'1'.repeat(200)}`],
    ['an unknown command of version 2', Buffer.concat([v2(0x2f, 0x11, ipv4), Buffer.from(HTTP)])],
    ['too few bytes of version 2', Buffer.concat([v2(0x21, 0x11, [1, 2]), Buffer.from(HTTP)])],
    [
      'a version 2 header that is huge',
      Buffer.concat([v2(0x21, 0x11, []).subarray(0, 14), Buffer.from([255, 255])]),
    ],
  ])('closes a connection with %s', async (_what, bytes) => {
    const { where } = await echo({ proxy_protocol: true })
    expect(await send(where, bytes)).toMatch(/^(broken)?$/)
  })

  test('check 52: is not believed from a peer that is not trusted, nor where it was not asked for', async () => {
    const header = 'PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n'
    const stranger = await echo({ proxy_protocol: true }, ['10.0.0.0/8'])
    expect(await send(stranger.where, header + HTTP)).toMatch(/^(broken)?$/)
    const plain = await echo({})
    expect(await send(plain.where, header + HTTP)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('is believed on a Unix socket', async () => {
    const path = join(folder, 'proxy.sock')
    const { where } = await echo({ unix: path, proxy_protocol: true })
    expect(await send(where, `PROXY TCP4 203.0.113.9 192.0.2.1 1 80\r\n${HTTP}`)).toContain('203.0.113.9 GET')
  })

  test('a connection that stays silent is closed', async () => {
    const { where } = await echo({ proxy_protocol: true })
    expect(await send(where, 'PROXY ')).toMatch(/^(broken)?$/)
  }, 60_000)
})

test('the service listens at several places at once', async () => {
  const port = await freePort()
  const path = join(folder, 'service.sock')
  const postern = await startPostern({
    config: {
      http: {
        public_url: `http://localhost:${port}/`,
        listeners: [
          { host: '127.0.0.1', port },
          { host: '127.0.0.1', port: 0, proxy_protocol: true },
          { unix: path },
        ],
      },
    },
  })
  try {
    expect(await (await fetch(`http://127.0.0.1:${port}/health`)).text()).toBe('ok')
    expect(await get(path, '/health')).toBe('ok')
  } finally {
    await postern.close()
  }
  await expect(stat(path)).rejects.toThrow('ENOENT')
})

test('the service takes the sockets that systemd opened, by their name', { timeout: 180_000 }, async () => {
  // As systemd does it: a listening socket as file descriptor 3, and the process told that it is meant.
  const opened = createServer().listen(0, '127.0.0.1')
  await once(opened, 'listening')
  const { port } = opened.address() as AddressInfo
  const { fd } = (opened as unknown as { _handle: { fd: number } })._handle
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const start = (name: string) =>
    spawn('/bin/sh', ['-c', `LISTEN_PID=$$ exec "${process.execPath}" "${main}" server`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe', fd],
      env: {
        PATH: process.env.PATH,
        LISTEN_FDS: '1',
        LISTEN_FDNAMES: name,
        POSTERN_HTTP__PUBLIC_URL: `http://localhost:${port}/`,
        POSTERN_HTTP__LISTENERS: '[{ systemd: postern }]',
      },
    })
  const wrong = start('another')
  expect(await text(wrong.stderr!)).toContain('systemd gave no socket named postern (there are: another)')
  const child = start('postern')
  opened.close()
  const notes: string[] = []
  child.stderr!.on('data', (chunk) => notes.push(String(chunk)))
  await expect
    .poll(() => notes.join(), { timeout: 30_000 })
    .toContain(`listening on http://127.0.0.1:${port}`)
  expect(await (await fetch(`http://127.0.0.1:${port}/health`)).text()).toBe('ok')
  child.kill('SIGTERM')
  expect((await once(child, 'exit'))[0]).toBe(0)
})
