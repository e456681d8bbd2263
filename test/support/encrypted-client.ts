import {
  ClientEvent,
  createClient,
  type MatrixClient,
  MatrixEventEvent,
  RoomEvent,
  SyncState,
} from 'matrix-js-sdk'
import { silent } from './matrix-client.ts'
import { PASSWORD } from './oauth.ts'

/** js-sdk with encryption, signed in by the legacy API and in sync. */
export async function startEncryptedClient(homeserver: string, user: string): Promise<MatrixClient> {
  const login = await createClient({ baseUrl: homeserver }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password: PASSWORD,
  })
  const client = createClient({
    baseUrl: homeserver,
    accessToken: login.access_token,
    userId: login.user_id,
    deviceId: login.device_id,
    logger: silent,
  })
  await client.initRustCrypto({ useIndexedDB: false })
  const inSync = new Promise<void>((resolve) =>
    client.on(ClientEvent.Sync, (state) => {
      if (state === SyncState.Prepared) resolve()
    }),
  )
  await client.startClient()
  await inSync
  return client
}

/** The text of the next message of somebody else in a room, decrypted. */
export function nextText(client: MatrixClient, roomId: string): Promise<string> {
  return new Promise((resolve) => {
    const look = (event: {
      getRoomId(): string | undefined
      getSender(): string | undefined
      getType(): string
      getContent(): { body?: string }
    }) => {
      if (event.getRoomId() !== roomId || event.getSender() === client.getUserId()) return
      if (event.getType() === 'm.room.message') resolve(event.getContent().body ?? '')
    }
    client.on(RoomEvent.Timeline, look)
    client.on(MatrixEventEvent.Decrypted, look)
  })
}
