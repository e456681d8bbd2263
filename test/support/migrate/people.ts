import { registerUser } from '../synapse.ts'
import { mustCall, passwordLogin } from './matrix-api.ts'
import { AS_TOKEN, SERVER_NAME } from './old-synapse.ts'

/** One device's tokens, as an app has kept them from before the switch. */
export interface OldSession {
  userId: string
  deviceId?: string
  accessToken: string
  refreshToken?: string
}

/** Everyone's password before the switch: NFKC makes something else of the ligature. */
export const OLD_PASSWORD = 'oﬃcer of the old days'

export const userIdOf = (localpart: string) => `@${localpart}:${SERVER_NAME}`

/** The people of the table in docs/migrate-from-synapse.md, made through Synapse's own API. */
export async function fillSynapse(url: string): Promise<Record<string, OldSession>> {
  const root = await registerUser(url, { localpart: 'root', password: OLD_PASSWORD, admin: true })
  const admin = (method: string, path: string, body?: unknown) =>
    mustCall(url, method, `/_synapse/admin/${path}`, { token: root.accessToken, body })

  const people: Record<string, OldSession> = { root }
  for (const name of ['alice', 'dora', 'lotte', 'susi', 'shade', 'nell', 'erik', 'keeper', 'wanda'])
    people[name] = await signUp(url, name)
  people.aliceLaptop = await logIn(url, 'alice', 'ALICELAPTOP', { refresh_token: true })
  people.aliceTablet = await logIn(url, 'alice', 'ALICETABLET', { refresh_token: true })
  people.erikTablet = await logIn(url, 'erik', 'ERIKTABLET', { refresh_token: true })
  people.lotteTablet = await logIn(url, 'lotte', 'LOTTETABLET', { refresh_token: true })
  people.guest = await registerGuest(url)
  people.bridged = await registerBridged(url, 'bridge-anna')
  people.puppet = {
    userId: userIdOf('alice'),
    accessToken: String((await admin('POST', `v1/users/${userIdOf('alice')}/login`, {})).access_token),
  }

  await admin('PUT', `v2/users/${userIdOf('alice')}`, {
    threepids: [
      { medium: 'email', address: 'alice@mail.example.test' },
      { medium: 'msisdn', address: '447700900000' },
    ],
    external_ids: [{ auth_provider: 'cas', external_id: 'alice.of.cas' }],
  })
  await admin('POST', `v1/deactivate/${userIdOf('dora')}`, { erase: false })
  await admin('PUT', `v2/users/${userIdOf('lotte')}`, { locked: true })
  await admin('PUT', `v1/suspend/${userIdOf('susi')}`, { suspend: true })
  await admin('POST', `v1/users/${userIdOf('shade')}/shadow_ban`, {})
  return people
}

async function signUp(url: string, localpart: string): Promise<OldSession> {
  const { userId } = await registerUser(url, { localpart, password: OLD_PASSWORD })
  const deviceId = `${localpart.toUpperCase()}PHONE`
  const session = await logIn(url, localpart, deviceId, {
    initial_device_display_name: `${localpart}’s phone`,
  })
  return { ...session, userId }
}

async function logIn(
  url: string,
  localpart: string,
  deviceId: string,
  extra: Record<string, unknown>,
): Promise<OldSession> {
  const { status, body } = await passwordLogin(url, localpart, OLD_PASSWORD, {
    device_id: deviceId,
    ...extra,
  })
  if (status !== 200) throw new Error(`Synapse did not sign ${localpart} in: ${JSON.stringify(body)}`)
  return sessionOf(body)
}

async function registerGuest(url: string): Promise<OldSession> {
  return sessionOf(await mustCall(url, 'POST', '/_matrix/client/v3/register?kind=guest', { body: {} }))
}

/** A user that a bridge made, signed in by the bridge. */
async function registerBridged(url: string, username: string): Promise<OldSession> {
  const body = { type: 'm.login.application_service', username }
  return sessionOf(await mustCall(url, 'POST', '/_matrix/client/v3/register', { token: AS_TOKEN, body }))
}

function sessionOf(body: Record<string, unknown>): OldSession {
  return {
    userId: String(body.user_id),
    accessToken: String(body.access_token),
    ...(typeof body.device_id === 'string' ? { deviceId: body.device_id } : {}),
    ...(typeof body.refresh_token === 'string' ? { refreshToken: body.refresh_token } : {}),
  }
}
