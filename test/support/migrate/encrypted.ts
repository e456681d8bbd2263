import { createClient, HttpApiEvent, type MatrixClient, type MatrixEvent } from 'matrix-js-sdk'
import { expect } from 'vitest'
import { silent } from '../matrix-client.ts'
import { legacyRefresh } from './matrix-api.ts'

/** An app with end-to-end encryption that signed in with a password, and keeps running. */
export interface EncryptedApp {
  client: MatrixClient
  userId: string
  /** Whether it was told that it is signed out, which makes apps delete their keys. */
  signedOut(): boolean
  /** Gets new tokens by `/refresh`, as it does where it asked for a refresh token. */
  refresh(): Promise<void>
}

export interface AppLogin {
  user: string
  password: string
  deviceId: string
  refreshable?: boolean
}

export async function startEncryptedApp(
  baseUrl: string,
  { user, password, deviceId, refreshable = false }: AppLogin,
): Promise<EncryptedApp> {
  const answer = await createClient({ baseUrl, logger: silent }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    device_id: deviceId,
    refresh_token: refreshable,
  })
  const { access_token: accessToken, user_id: userId } = answer
  let refreshToken = answer.refresh_token ?? ''
  let signedOut = false
  const client = createClient({ baseUrl, accessToken, userId, deviceId, logger: silent })
  client.on(HttpApiEvent.SessionLoggedOut, () => {
    signedOut = true
  })
  await client.initRustCrypto({ useIndexedDB: false })
  await client.startClient({ initialSyncLimit: 20 })
  await expect.poll(() => client.isInitialSyncComplete(), { timeout: 20_000 }).toBe(true)
  // It takes no calls, and would write about every one that there is not.
  client.matrixRTC.stop()
  return {
    client,
    userId,
    signedOut: () => signedOut,
    async refresh() {
      const { status, body } = await legacyRefresh(baseUrl, refreshToken)
      expect(status).toBe(200)
      refreshToken = String(body.refresh_token)
      client.setAccessToken(String(body.access_token))
    },
  }
}

/** A room of these two in which everything is encrypted. */
export async function makeEncryptedRoom(from: EncryptedApp, to: EncryptedApp): Promise<string> {
  const { room_id: roomId } = await from.client.createRoom({
    invite: [to.userId],
    initial_state: [
      { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  })
  await to.client.joinRoom(roomId)
  const joined = () => from.client.getRoom(roomId)?.getMember(to.userId)?.membership
  await expect.poll(joined, { timeout: 20_000 }).toBe('join')
  return roomId
}

/** Waits until this app has received the event by its own sync and decrypted it; gives its text. */
export async function readBySync(app: EncryptedApp, roomId: string, eventId: string): Promise<string> {
  const received = () => app.client.getRoom(roomId)?.findEventById(eventId)
  const textOf = (event: MatrixEvent | undefined) =>
    event?.isEncrypted() && !event.isDecryptionFailure() ? event.getContent().body : undefined
  // After an outage the app waits a while before it asks the homeserver again.
  await expect.poll(() => textOf(received()), { timeout: 60_000, interval: 200 }).toBeTypeOf('string')
  return textOf(received())
}

/** Fetches an event anew from the homeserver and decrypts it with the keys that the app has. */
export async function readAgain(app: EncryptedApp, roomId: string, eventId: string): Promise<string> {
  const raw = await app.client.fetchRoomEvent(roomId, eventId)
  expect(raw.type).toBe('m.room.encrypted')
  const event = app.client.getEventMapper()(raw)
  await app.client.decryptEventIfNeeded(event)
  return event.getContent().body
}
