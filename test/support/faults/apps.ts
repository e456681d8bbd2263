import type { Knex } from 'knex'
import { newId, toUuid } from '../../../src/ids.ts'
import { insertSession } from '../../../src/sessions/start/store.ts'
import { hashSecret, newToken } from '../../../src/tokens/format.ts'
import type { FakeHomeserver } from '../fake-homeserver.ts'
import { post } from '../oauth.ts'
import { SECRET } from './service.ts'

export const CLIENT_ID = 'fault-app'

/**
 * An app as Matrix apps behave: it refreshes, uses what it got, and takes any 4xx of the token endpoint for a sign-out
 * (invariant 7). After anything else it comes back with the token that it has.
 */
export interface App {
  userId: string
  localpart: string
  deviceId: string
  accessToken: string
  refreshToken: string
  /** What signed it out. */
  signedOut: string | undefined
  refreshed: number
  /** Answers that told it to come back, by status; 0 for a connection that failed. */
  turnedAway: Map<number, number>
  /** Answers of 503 without `Retry-After`. */
  withoutRetryAfter: number
}

/** Users with a device and a session each, made in the database as sign-ins would have left them. */
export async function makeApps(db: Knex, homeserver: FakeHomeserver, count: number): Promise<App[]> {
  const now = new Date()
  await db('clients')
    .insert({
      client_id: CLIENT_ID,
      kind: 'static',
      auth_method: 'none',
      metadata: { client_name: 'Fault app' },
      created_at: now,
    })
    .onConflict('client_id')
    .ignore()
  const apps: App[] = []
  for (let index = 0; index < count; index++) {
    const id = newId(now)
    const localpart = `app${id.slice(-8).toLowerCase()}${index}`
    const deviceId = `DEVICE${index}`
    const [accessToken, refreshToken] = [newToken('mat'), newToken('mar')]
    await db('users').insert({ id: toUuid(id), localpart, created_at: now, provisioned_at: now })
    homeserver.addUser(localpart)
    await fetch(`${homeserver.url}_synapse/mas/upsert_device`, {
      method: 'POST',
      headers: { authorization: `Bearer ${homeserver.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ localpart, device_id: deviceId }),
    })
    const sessionId = newId(now)
    const session = {
      id: sessionId,
      kind: 'oauth' as const,
      userId: id,
      clientId: CLIENT_ID,
      deviceId,
      scope: `urn:matrix:client:api:* urn:matrix:client:device:${deviceId}`,
      browserSessionId: null,
      createdAt: now,
      expiresAt: null,
      ip: null,
      userAgent: null,
      name: null,
    }
    await insertSession(db, session, {
      accessHash: hashSecret(accessToken),
      accessExpiresAt: new Date(now.getTime() + 300_000),
      refreshHash: hashSecret(refreshToken),
    })
    apps.push({
      userId: id,
      localpart,
      deviceId,
      accessToken,
      refreshToken,
      signedOut: undefined,
      refreshed: 0,
      turnedAway: new Map(),
      withoutRetryAfter: 0,
    })
  }
  return apps
}

function turnAway(app: App, response: Response | undefined): void {
  const status = response?.status ?? 0
  app.turnedAway.set(status, (app.turnedAway.get(status) ?? 0) + 1)
  if (status === 503 && !response?.headers.get('retry-after')) app.withoutRetryAfter++
}

/** One refresh, and one look of the homeserver at the new token. */
export async function step(app: App, base: string): Promise<void> {
  const response = await post(`${base}oauth2/token`, {
    grant_type: 'refresh_token',
    client_id: CLIENT_ID,
    refresh_token: app.refreshToken,
  }).catch(() => undefined)
  const text = await response?.text().catch(() => undefined)
  if (!response || text === undefined || response.status >= 500) return turnAway(app, response)
  if (response.status !== 200) {
    app.signedOut ??= `${response.status} ${text}`
    return
  }
  const body = JSON.parse(text) as { access_token: string; refresh_token: string }
  app.accessToken = body.access_token
  app.refreshToken = body.refresh_token
  app.refreshed++
  const seen = await seenByHomeserver(app.accessToken, base)
  if (seen === false) app.signedOut ??= 'a token that it has just got is not active'
}

/** What the homeserver would learn of a token: active or not, or nothing where it has to ask again. */
export async function seenByHomeserver(token: string, base: string): Promise<boolean | undefined> {
  const headers = { authorization: `Bearer ${SECRET}`, 'x-mas-supports-device-id': '1' }
  const response = await post(`${base}oauth2/introspect`, { token }, headers).catch(() => undefined)
  if (response?.status !== 200) return undefined
  const body = await response.json().catch(() => undefined)
  return (body as { active: boolean } | undefined)?.active
}

/** Lets all apps go on until `stop` is called. `baseOf` says where the next request of an app goes. */
export function run(apps: App[], baseOf: (turn: number) => string): { stop(): Promise<void> } {
  let going = true
  const loops = apps.map(async (app, index) => {
    for (let turn = index; going && !app.signedOut; turn++) await step(app, baseOf(turn))
  })
  return {
    async stop() {
      going = false
      await Promise.all(loops)
    },
  }
}

export function total(apps: App[]): { refreshed: number; turnedAway: number; signedOut: string[] } {
  return {
    refreshed: apps.reduce((sum, app) => sum + app.refreshed, 0),
    turnedAway: apps.reduce((sum, app) => sum + [...app.turnedAway.values()].reduce((a, b) => a + b, 0), 0),
    signedOut: apps.flatMap(({ signedOut }) => (signedOut ? [signedOut] : [])),
  }
}
