import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createSilentServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Config } from '../../src/config/index.ts'
import { examine } from '../../src/doctor/doctor.ts'
import { runCommand } from '../support/command.ts'
import { createTestDatabase } from '../support/database.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { selfSigned } from '../support/self-signed.ts'

let postern: TestPostern
/** Stands for the reverse proxy, and for what of Synapse its clients see. */
let front: Server
let frontUrl: string
/** What goes where: to this service, or an answer. */
let routes: Record<string, 'postern' | [status: number, body: object]>

/** An address at which nobody listens. */
let nobody: string

beforeAll(async () => {
  postern = await startPostern()
  nobody = `http://127.0.0.1:${await freePort()}/`
  front = createServer(async (req, res) => {
    const [path = ''] = (req.url ?? '').split('?')
    const route = routes[`${req.method} ${path}`] ?? [404, { errcode: 'M_UNRECOGNIZED' }]
    const target = path.startsWith('/_synapse/') ? postern.homeserver.url : postern.url
    if (route !== 'postern' && target !== postern.homeserver.url) {
      res.writeHead(route[0], { 'content-type': 'application/json' })
      return res.end(JSON.stringify(route[1]))
    }
    const { authorization = '' } = req.headers
    const answer = await fetch(new URL(req.url ?? '', target), {
      method: req.method ?? 'GET',
      headers: { authorization, 'content-type': 'application/json' },
      body: req.method === 'POST' ? '{}' : null,
    })
    res.writeHead(answer.status, { 'content-type': 'application/json' })
    res.end(await answer.text())
  })
  front.listen(0, '127.0.0.1')
  await new Promise((resolve) => front.once('listening', resolve))
  frontUrl = `http://127.0.0.1:${(front.address() as AddressInfo).port}/`
})
afterAll(async () => {
  front.closeAllConnections()
  front.close()
  await postern.close()
})
beforeEach(() => {
  routes = {
    'GET /.well-known/matrix/client': [200, { 'm.homeserver': { base_url: frontUrl } }],
    'GET /_matrix/client/v3/login': 'postern',
    'POST /_matrix/client/v3/logout': 'postern',
    'POST /_matrix/client/v3/refresh': 'postern',
    'GET /_matrix/client/versions': [200, { versions: ['v1.16'] }],
    'GET /_matrix/client/v1/auth_metadata': [200, { issuer: postern.url }],
  }
})

/** The findings with other options in a section, as "state check: what" with what to do. */
async function findings(
  changes: { [Section in keyof Config]?: Partial<Config[Section]> } = {},
  { now = () => new Date() } = {},
): Promise<string[]> {
  const config = { ...postern.config } as Record<string, unknown>
  config.matrix = { ...postern.config.matrix, endpoint: frontUrl }
  for (const [section, values] of Object.entries(changes))
    config[section] = { ...(config[section] as object), ...(values as object) }
  // The server name of the tests has no TLS.
  const toFront: typeof fetch = (url, init) => {
    return fetch(String(url).replace(`https://${postern.config.matrix.server_name}/`, frontUrl), init)
  }
  const found = await examine(
    { config: config as unknown as Config, fetch: toFront, now },
    pino({ level: 'silent' }),
  )
  for (const { state, todo } of found) expect(Boolean(todo)).toBe(state === 'problem')
  return found.map(({ state, check, what }) => `${state} ${check}: ${what}`)
}
const problems = async (...args: Parameters<typeof findings>) =>
  (await findings(...args)).filter((line) => line.startsWith('problem'))

test('nothing is wrong where everything is right', async () => {
  const all = await findings()
  expect(all.filter((line) => !line.startsWith('ok'))).toEqual([
    'skipped tls: the public address is this machine only',
  ])
  for (const check of ['public address', 'database', 'clock', 'homeserver', 'routes'])
    expect(all.join('\n')).toContain(`ok ${check}:`)
})

test('a public address that does not resolve, that nobody answers at, or that is somebody else', async () => {
  expect(await problems({ http: { public_url: 'http://nowhere.invalid/' } })).toContain(
    'problem public address: nowhere.invalid does not resolve',
  )
  expect((await problems({ http: { public_url: nobody } })).join()).toMatch(
    /public address: \S+ cannot be reached: connect ECONNREFUSED/,
  )
  const other = postern.url.replace('localhost', '127.0.0.1')
  expect((await problems({ http: { public_url: other } })).join()).toContain(
    `answers with the issuer ${postern.url} instead of the issuer ${other}`,
  )
})

test('plain HTTP anywhere but on this machine', async () => {
  const lines = await problems({ http: { public_url: 'http://auth.example.invalid/' } })
  expect(lines.join()).toContain('is plain HTTP: passwords and tokens can be read on the way')
})

test('a database that is away, and a schema that is older', async () => {
  const away = { uri: 'postgresql://nobody:s3cretword@127.0.0.1:9/none' }
  const lines = await problems({ database: away })
  expect(lines.join()).toContain('your PostgreSQL cannot be used: connect ECONNREFUSED')
  expect(lines.join()).not.toContain('s3cretword')
  const empty = await createTestDatabase({ empty: true })
  onTestFinished(() => empty.close())
  expect((await problems({ database: { uri: empty.uri } })).join()).toContain('the schema lacks 0001_initial')
  // Looked at, and left alone.
  expect((await empty.knex.raw(`select to_regclass('users') as made`)).rows[0].made).toBeNull()
})

test('a clock that is wrong', async () => {
  const now = () => new Date(Date.now() + 60_000)
  expect((await problems({}, { now })).join()).toMatch(
    /clock: this machine and \S+ are (59|60|61|62) seconds apart/,
  )
})

test('a homeserver with another secret, that is away, keeps its own login, or points elsewhere', async () => {
  expect((await problems({ matrix: { secret: 'another' } })).join()).toContain(
    "refused this service's secret",
  )
  const away = await problems({ matrix: { endpoint: nobody } })
  expect(away.join('\n')).toMatch(/homeserver: The homeserver at \S+ cannot be reached/)
  routes['GET /_matrix/client/v1/auth_metadata'] = [404, { errcode: 'M_UNRECOGNIZED' }]
  expect(await problems()).toEqual(['problem homeserver: the homeserver keeps its own login'])
  routes['GET /_matrix/client/v1/auth_metadata'] = [200, { issuer: 'https://old.example.org/' }]
  expect(await problems()).toEqual([
    `problem homeserver: the homeserver sends apps to https://old.example.org/ instead of ${postern.url}`,
  ])
  routes['GET /_matrix/client/v1/auth_metadata'] = [500, {}]
  expect((await problems()).join()).toContain('the homeserver cannot ask us who we are (500')
})

test('neighbours that take every connection and say nothing are told, and not waited for', {
  timeout: 180_000,
}, async () => {
  const sockets: Socket[] = []
  const silent = createSilentServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  await new Promise((resolve) => silent.once('listening', resolve))
  const { port } = silent.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/`
  const found = await problems({
    http: { public_url: url.replace('http:', 'https:') },
    matrix: { endpoint: url },
    database: { uri: `postgresql://postern@127.0.0.1:${port}/postern` },
  })
  for (const check of ['public address', 'tls', 'database', 'homeserver'])
    expect(found.join('\n')).toContain(`problem ${check}: `)
})

test.each([
  ['GET', 'login'],
  ['POST', 'logout'],
  ['POST', 'refresh'],
])('a reverse proxy that sends %s %s to the homeserver', async (method, name) => {
  delete routes[`${method} /_matrix/client/v3/${name}`]
  expect(await problems()).toEqual([
    `problem routes: ${method} ${frontUrl}_matrix/client/v3/${name} does not come here (404 M_UNRECOGNIZED)`,
  ])
})

test('a reverse proxy that sends everything here, and a server name that leads nowhere', async () => {
  routes['GET /_matrix/client/versions'] = 'postern'
  expect((await problems()).join()).toContain('_matrix/client/versions does not reach the homeserver (404')
  delete routes['GET /.well-known/matrix/client']
  expect((await problems()).join()).toContain('does not tell apps where the homeserver is: status 404')
})

test('the command says what to do, fails where there is a problem, and speaks JSON', async () => {
  const args = ['--config', postern.file, 'doctor']
  const { code, out, err } = await runCommand(args, { cwd: dirname(postern.file) })
  // Nobody serves https://localhost.test, and the stand-in for the homeserver has no clients.
  expect(code).toBe(1)
  expect(err).toMatch(/\d problems were found/)
  expect(out).toMatch(/^PROBLEM routes: .+\n {8}Serve it as docs\/reverse-proxy\.md shows\.$/m)
  expect(out).toMatch(/^ok {6}database: the schema is up to date/m)
  const json = await runCommand([...args, '--json'], { cwd: dirname(postern.file) })
  expect(JSON.parse(json.out)).toContainEqual(expect.objectContaining({ check: 'routes', state: 'problem' }))
  expect(out + json.out).not.toContain(postern.config.matrix.secret)
})

const trusted = getCACertificates('default')
afterEach(() => setDefaultCACertificates(trusted))

/** A TLS server with a certificate of its own; the address it is reached at, and the certificate. */
async function startTls(days: number): Promise<{ url: string; certificate: string }> {
  const { key, cert: certificate } = await selfSigned({ days })
  const server = createTlsServer({ key, cert: certificate }, (socket) => socket.end())
  server.on('tlsClientError', () => undefined)
  server.listen(0, 'localhost')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return { url: `https://localhost:${(server.address() as AddressInfo).port}/`, certificate }
}
const tls = async (url: string) =>
  (await findings({ http: { public_url: url } })).filter((line) => line.includes(' tls: '))

test('a certificate that nobody believes, one that expires soon, and one that is good', async () => {
  const good = await startTls(400)
  expect(await tls(good.url)).toEqual([
    'problem tls: the certificate of localhost is not believed: DEPTH_ZERO_SELF_SIGNED_CERT',
  ])
  const old = await startTls(3)
  setDefaultCACertificates([good.certificate, old.certificate])
  expect(await tls(old.url)).toEqual(['problem tls: the certificate of localhost expires in 2 days'])
  expect(await tls(good.url)).toEqual(['ok tls: the certificate of localhost is good for 399 days'])
})
