import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeHomeserver, startFakeHomeserver } from '../support/fake-homeserver.ts'
import { type App, makeApps, run, seenByHomeserver, total } from '../support/faults/apps.ts'
import { makePeople, passwordSignIn, signOut } from '../support/faults/people.ts'
import { createService, removeFolder, SECRET, type Service } from '../support/faults/service.ts'
import { authorize, exchange, post, registerClient, type Tokens } from '../support/oauth.ts'
import { takeBackUnclaimedDevices } from '../support/unclaimed-devices.ts'

const KILLS = 6
const MANY = { points: 100_000, per_seconds: 60 }

let database: TestDatabase
let homeserver: FakeHomeserver
let service: Service
let apps: App[]
let people: string[]

beforeAll(async () => {
  database = await createTestDatabase()
  homeserver = await startFakeHomeserver({ secret: SECRET })
  service = await createService({
    homeserver: homeserver.url,
    databaseUri: database.uri,
    // A sign-in that is cut off keeps its count: here somebody is cut off again and again.
    config: { limits: { sign_in_per_address: MANY, sign_in_per_user: MANY } },
  })
  await service.start()
  apps = await makeApps(database.knex, homeserver, 12)
  people = await makePeople(database.knex, homeserver, 4)
})
afterAll(async () => {
  await service?.stop()
  await homeserver?.stop()
  await database?.close()
  await removeFolder(service.folder)
})

/** Somebody who signs in and out again and again, and tries again whatever was interrupted. */
interface Coming {
  /** What nobody may be told who did nothing wrong. */
  refused: string[]
  rounds(): number
  stop(): Promise<void>
}

/** @param once signs in and out, and says what was refused, or `again` where it was interrupted */
function comeAndGo(once: () => Promise<string | undefined>): Coming {
  let going = true
  let rounds = 0
  const refused: string[] = []
  const loop = (async () => {
    while (going) {
      const said = await once()
      if (said === undefined) rounds++
      else if (said !== 'again') refused.push(said)
    }
  })()
  return {
    refused,
    rounds: () => rounds,
    async stop() {
      going = false
      await loop
    },
  }
}

/** Repeats until there was an answer that says something. */
async function untilAnswered(ask: () => Promise<Response>): Promise<{ answer: Response; attempts: number }> {
  for (let attempts = 1; ; attempts++) {
    const answer = await ask().catch(() => undefined)
    if (answer && answer.status < 500) return { answer, attempts }
  }
}

const byPassword = (name: string) => async () => {
  const signedIn = await passwordSignIn(service.url, name)
  if (signedIn && signedIn.status !== 200 && signedIn.status < 500) return String(signedIn.body.errcode)
  const token = signedIn?.body.access_token
  if (!token) return 'again'
  for (;;) {
    const out = await signOut(service.url, token)
    // An answer that was lost: the token is gone by now.
    if (out?.status === 200 || out?.status === 401) return undefined
  }
}

/** By the redirect of the browser: page, consent, code, tokens, revocation. */
const byBrowser = (name: string, clientId: string) => async () => {
  const approved = await authorize(service, clientId, name).catch(() => undefined)
  // The pages were cut off: the app starts again.
  if (!approved) return 'again'
  const { code, request } = approved
  const { answer, attempts } = await untilAnswered(() => exchange(service, clientId, code, request.verifier))
  const body = (await answer.json()) as Partial<Tokens> & { error?: string }
  // Of a code whose answer was lost nothing more is to be had: the app starts again, too.
  if (answer.status !== 200) return attempts > 1 ? 'again' : String(body.error)
  const out = await untilAnswered(() =>
    post(`${service.url}oauth2/revoke`, { token: body.refresh_token ?? '', client_id: clientId }),
  )
  return out.answer.status === 200 ? undefined : `revocation ${out.answer.status}`
}

async function heldDevices(localpart: string): Promise<string[]> {
  const held: string[] = await database
    .knex('sessions')
    .join('users', 'users.id', 'sessions.user_id')
    .where({ localpart })
    .whereNull('ended_at')
    .pluck('device_id')
  return held.sort()
}

test('check 72: a service that is killed in the middle of refreshes and sign-ins loses no session, device or job', {
  timeout: 120_000,
}, async () => {
  const load = run(apps, () => service.url)
  const clientId = await registerClient(service)
  const coming = people.map((name, n) => comeAndGo(n % 2 ? byBrowser(name, clientId) : byPassword(name)))
  const busy = () => Math.min(total(apps).refreshed, ...coming.map(({ rounds }) => rounds()))
  for (let kill = 0; kill < KILLS; kill++) {
    const before = busy()
    await expect.poll(busy, { timeout: 20_000 }).toBeGreaterThan(before + 1)
    // Any moment will do, as long as it is not always the same.
    await delay(kill * 7)
    await service.stop('SIGKILL')
    await service.start()
  }
  await load.stop()
  for (const one of coming) {
    await one.stop()
    expect(one.refused).toEqual([])
  }

  expect(total(apps).signedOut).toEqual([])
  expect(total(apps).turnedAway).toBeGreaterThan(KILLS)
  for (const { accessToken } of apps) expect(await seenByHomeserver(accessToken, service.url)).toBe(true)

  // A sign-in that was cut off left its device, which is taken back some minutes later: make it now.
  await takeBackUnclaimedDevices(database.knex)
  for (const name of [...people, ...apps.map(({ localpart }) => localpart)]) {
    await expect.poll(() => homeserver.devices(name), { timeout: 60_000 }).toEqual(await heldDevices(name))
  }
  const open = async () =>
    (await database.knex('pgboss.job').where({ name: 'device.delete' }).whereNot({ state: 'completed' }))
      .length
  await expect.poll(open, { timeout: 60_000 }).toBe(0)
})
