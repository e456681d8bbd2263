import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A wire between the service and its database that a test can cut, or freeze so that nothing comes and nothing fails. */
export interface Relay {
  /** The same database, reached through the wire. */
  uri: string
  /** Breaks every connection, and refuses new ones. */
  cut(): void
  /** Keeps connections, takes new ones, and lets nothing through. */
  freeze(): void
  /**
   * Freezes as soon as the service sends this text: before it arrives, or after it arrived, so that it was done and
   * only the answer is lost.
   */
  freezeAt(text: string | Buffer, when: 'before' | 'after'): void
  /** Works again. What was frozen is broken, as after a network that came back. */
  mend(): void
  close(): Promise<void>
}

type State = 'whole' | 'cut' | 'frozen'

/** @param databaseUri of a PostgreSQL on TCP or, with `?host=`, on a Unix socket */
export async function createRelay(databaseUri: string): Promise<Relay> {
  const target = new URL(databaseUri)
  const host = target.searchParams.get('host')
  const port = Number(target.port || target.searchParams.get('port') || 5432)
  const sockets = new Set<Socket>()
  let state: State = 'whole'
  let trap: { text: string | Buffer; when: 'before' | 'after' } | undefined

  const server = createServer((near) => {
    if (state === 'cut') return near.destroy()
    keep(near)
    if (state === 'frozen') return
    const far = host?.startsWith('/')
      ? connect(`${host}/.s.PGSQL.${port}`)
      : connect(port, host ?? target.hostname)
    keep(far)
    near.on('data', (chunk: Buffer) => {
      const caught = trap && chunk.includes(trap.text) ? trap : undefined
      if (state === 'whole' && caught?.when !== 'before') far.write(chunk)
      if (caught) state = 'frozen'
    })
    far.on('data', (chunk) => state === 'whole' && near.write(chunk))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })

  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  }

  function breakAll(): void {
    for (const socket of sockets) socket.destroy()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const uri = new URL(databaseUri)
  const query = (name: string) => uri.searchParams.get(name) ?? ''
  const user = uri.username || query('user')
  const password = uri.password || encodeURIComponent(query('password'))
  return {
    uri: `postgresql://${user}:${password}@127.0.0.1:${(server.address() as AddressInfo).port}${uri.pathname}`,
    cut() {
      state = 'cut'
      breakAll()
    },
    freeze() {
      state = 'frozen'
    },
    freezeAt(text, when) {
      trap = { text, when }
    },
    mend() {
      trap = undefined
      if (state === 'frozen') breakAll()
      state = 'whole'
    },
    async close() {
      breakAll()
      server.close()
    },
  }
}
