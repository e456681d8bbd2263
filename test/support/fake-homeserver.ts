import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'

/** A request that the fake saw, in the order of arrival. */
export interface FakeCall {
  name: string
  method: string
  body: Record<string, unknown>
  /** What it was told of the caller's trace. */
  traceparent: string | undefined
}

interface FakeUser {
  displayName: string | null
  locked: boolean
  deactivated: boolean
  erased: boolean
  devices: Map<string, string | null>
}

/**
 * How the fake misbehaves: an answer with this status (which may repeat everything that it was sent), none at all, a page
 * (with 200, or 502 as of a proxy), JSON that breaks off, a list, a redirect, a body without an end, or a cut connection.
 */
export type FakeTrouble =
  | { status: number; errcode?: string; echo?: boolean }
  | 'hang'
  | 'nonsense'
  | 'bad gateway'
  | 'truncated'
  | 'list'
  | 'redirect'
  | 'endless'
  | 'cut'

export interface FakeHomeserver {
  readonly url: string
  readonly secret: string
  readonly calls: FakeCall[]
  /** Every call, or every call of one name, misbehaves until `recover`. */
  trouble(trouble: FakeTrouble, name?: string): void
  recover(): void
  addUser(localpart: string): void
  user(localpart: string): Omit<FakeUser, 'devices'> | undefined
  /** The IDs of a user's devices, sorted. */
  devices(localpart: string): string[]
  /** Names that an appservice owns: `is_localpart_available` says so. */
  readonly exclusive: Set<string>
  stop(): Promise<void>
}

type Reply = [status: number, body: Record<string, unknown>]

const ok: Reply = [200, {}]
const created: Reply = [201, {}]

function refuse(status: number, errcode: string, error: string): Reply {
  return [status, { errcode, error }]
}

/** The homeserver's `/_synapse/mas/*`, held in memory, answering as Synapse 1.163 was seen to answer. */
export async function startFakeHomeserver({
  secret = 'fake-homeserver-secret',
}: {
  secret?: string
} = {}): Promise<FakeHomeserver> {
  const users = new Map<string, FakeUser>()
  const calls: FakeCall[] = []
  const exclusive = new Set<string>()
  let trouble: { how: FakeTrouble; name: string | undefined } | undefined

  function answer(name: string, body: Record<string, unknown>): Reply {
    const localpart = String(body.localpart)
    const user = users.get(localpart)
    if (name === 'is_localpart_available') {
      if (!/^[a-z0-9=\-./+][a-z0-9=_\-./+]*$/.test(localpart) || /^\d+$/.test(localpart)) {
        return refuse(400, 'M_INVALID_USERNAME', 'User ID can only contain certain characters')
      }
      if (exclusive.has(localpart)) return refuse(400, 'M_EXCLUSIVE', 'Reserved by an application service')
      return user ? refuse(400, 'M_USER_IN_USE', 'User ID already taken.') : ok
    }
    if (name === 'provision_user') {
      if (!user) users.set(localpart, newUser(body, localpart))
      else if (typeof body.locked === 'boolean') user.locked = body.locked
      return user ? ok : created
    }
    if (!user) return refuse(404, 'M_NOT_FOUND', 'User not found')
    const deviceId = String(body.device_id)
    switch (name) {
      case 'query_user':
        return [
          200,
          {
            user_id: `@${localpart}:localhost`,
            display_name: user.displayName,
            avatar_url: null,
            is_suspended: false,
            is_deactivated: user.deactivated,
          },
        ]
      case 'upsert_device': {
        const known = user.devices.has(deviceId)
        const displayName = body.display_name ?? user.devices.get(deviceId) ?? null
        user.devices.set(deviceId, displayName as string | null)
        return known ? ok : created
      }
      case 'update_device_display_name':
        if (!user.devices.has(deviceId)) return refuse(404, 'M_NOT_FOUND', 'No device found')
        user.devices.set(deviceId, String(body.display_name))
        return ok
      case 'delete_device':
        user.devices.delete(deviceId)
        return [204, {}]
      case 'sync_devices': {
        const wanted = body.devices as string[]
        user.devices = new Map(wanted.map((id) => [id, user.devices.get(id) ?? null]))
        return ok
      }
      case 'set_displayname':
        user.displayName = String(body.displayname)
        return ok
      case 'unset_displayname':
        user.displayName = null
        return ok
      case 'delete_user':
        user.deactivated = true
        user.erased ||= body.erase === true
        user.devices.clear()
        return ok
      case 'reactivate_user':
        user.deactivated = false
        user.erased = false
        return ok
      case 'allow_cross_signing_reset':
        return ok
      default:
        return refuse(404, 'M_UNRECOGNIZED', 'Unrecognized request')
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const name = /^\/_synapse\/mas\/(\w+)$/.exec(url.pathname)?.[1]
    const text = await readText(request)
    const body = request.method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(text)
    const send = ([status, json]: Reply) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(status === 204 ? '' : JSON.stringify(json))
    }
    if (!name) return send(refuse(404, 'M_UNRECOGNIZED', 'Unrecognized request'))
    const { traceparent } = request.headers
    calls.push({
      name,
      method: request.method ?? '',
      body,
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    })
    if (trouble && (!trouble.name || trouble.name === name)) {
      const { how } = trouble
      if (typeof how === 'object') {
        const said = how.echo ? `${request.headers.authorization} ${text}` : 'told to fail'
        return send(refuse(how.status, how.errcode ?? 'M_UNKNOWN', said))
      }
      return misbehave(how, request, response)
    }
    if (request.headers.authorization !== `Bearer ${secret}`) {
      return send(refuse(403, 'M_UNKNOWN', 'This endpoint must only be called by MAS'))
    }
    send(answer(name, body))
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secret,
    calls,
    exclusive,
    trouble(how, name) {
      trouble = { how, name }
    },
    recover() {
      trouble = undefined
    },
    addUser(localpart) {
      users.set(localpart, newUser({}, localpart))
    },
    user: (localpart) => users.get(localpart),
    devices: (localpart) => [...(users.get(localpart)?.devices.keys() ?? [])].sort(),
    async stop() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function misbehave(
  how: Extract<FakeTrouble, string>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  switch (how) {
    case 'hang':
      return
    case 'cut':
      request.socket.destroy()
      return
    case 'nonsense':
      response.end('<html>It works!</html>')
      return
    case 'bad gateway':
      response.writeHead(502, { 'content-type': 'text/html' })
      response.end('<html>502 Bad Gateway</html>')
      return
    case 'truncated':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
      response.write('{"user_id": "@al', () => response.destroy())
      return
    case 'list':
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('[{}]')
      return
    case 'redirect':
      response.writeHead(302, { location: 'https://elsewhere.example/' })
      response.end()
      return
    case 'endless': {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => {
        while (!response.destroyed && response.write(ENDLESS));
      }
      response.on('drain', more)
      more()
    }
  }
}

const ENDLESS = Buffer.alloc(65_536, ' ')

function newUser(body: Record<string, unknown>, localpart: string): FakeUser {
  return {
    displayName: typeof body.set_displayname === 'string' ? body.set_displayname : localpart,
    locked: body.locked === true,
    deactivated: false,
    erased: false,
    devices: new Map(),
  }
}
