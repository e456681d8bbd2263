import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

// What a service on node:http could reach at best: it reads the form that every introspection brings, looks nothing up
// and answers with the same introspection each time.

const body = JSON.stringify({
  active: true,
  scope:
    'openid urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:client:device:ABCDEFGHIJ urn:matrix:org.matrix.msc2967.client:device:ABCDEFGHIJ',
  token_type: 'access_token',
  iat: 1_764_000_000,
  client_id: '01JD0000000000000000000000',
  username: 'person1',
  sub: '01JD0000000000000000000001',
  device_id: 'ABCDEFGHIJ',
  exp: 1_764_000_300,
  expires_in: 300,
})
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }

const server = createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    Buffer.concat(chunks)
    res.writeHead(200, headers)
    res.end(body)
  })
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.once('SIGTERM', () => process.exit(0))
