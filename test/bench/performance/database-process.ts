import pino from 'pino'
import { openEmbedded } from '../../../src/storage/embedded/server.ts'

// Keeps the PostgreSQL that Postern carries running in a folder, with the settings that it has in the service:
// the services that are measured use it as they would use any other.

const server = await openEmbedded(process.argv[2] ?? '', { log: pino({ level: 'silent' }) })
const { host, user, password, database } = server.clientConfig
const query = new URLSearchParams({ host: String(host), user: String(user), password: String(password) })
console.log(`postgresql:///${database}?${query}`)
const alive = setInterval(() => undefined, 60_000)
process.once('SIGTERM', async () => {
  clearInterval(alive)
  await server.close()
})
