// What the legacy login API costs beside OAuth, in one run and in turn: `npm run bench:compat`. Under a minute, on
// this machine alone; exits with 1 where the legacy API costs more than it may.
import { deviceScope, obtainTokens, PASSWORD, refresh, registerClient } from '../support/oauth.ts'
import { type Comparison, compare } from './compare.ts'
import { startMeasuredService } from './service.ts'

/** How many times as much as OAuth's the legacy API's may cost. */
const ALLOWED = 1.1
const WORKERS = 8
const users = Array.from({ length: WORKERS }, (_, worker) => `user${worker}`)

async function json(response: Response): Promise<Record<string, string>> {
  const body = (await response.json()) as Record<string, string>
  if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(body)}`)
  return body
}

const service = await startMeasuredService(users)
const client = (endpoint: string, body: object) =>
  fetch(`${service.url}_matrix/client/v3/${endpoint}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }).then(json)
const login = (worker: number) =>
  client('login', {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: users[worker] },
    password: PASSWORD,
    device_id: `LEGACYDEVICE${worker}`,
    refresh_token: true,
  })

try {
  const clientId = await registerClient(service)
  // The whole of it: sign-in page, password, consent page, code, tokens.
  const codeFlow = (worker: number) =>
    obtainTokens(service, clientId, users[worker] ?? '', {
      params: { scope: `openid urn:matrix:client:api:* ${deviceScope(`OAUTHDEVICE${worker}`)}` },
    })
  const oauthTokens: string[] = []
  const legacyTokens: string[] = []
  for (const worker of users.keys()) {
    oauthTokens[worker] = (await codeFlow(worker)).refresh_token
    legacyTokens[worker] = (await login(worker)).refresh_token ?? ''
  }

  const refreshes = await compare(
    {
      name: 'OAuth',
      async once(worker) {
        const pair = await json(await refresh(service, clientId, oauthTokens[worker] ?? ''))
        oauthTokens[worker] = pair.refresh_token ?? ''
      },
    },
    {
      name: 'legacy',
      async once(worker) {
        const pair = await client('refresh', { refresh_token: legacyTokens[worker] })
        legacyTokens[worker] = pair.refresh_token ?? ''
      },
    },
    { rounds: 20, perRound: 400, workers: WORKERS },
  )
  const signIns = await compare(
    { name: 'OAuth', once: async (worker) => void (await codeFlow(worker)) },
    { name: 'legacy', once: async (worker) => void (await login(worker)) },
    { rounds: 10, perRound: 16, workers: WORKERS },
  )
  report('refresh', refreshes)
  report('sign-in with a password', signIns)
  if (Math.max(refreshes.ratio, signIns.ratio) > ALLOWED) process.exitCode = 1
} finally {
  await service.close()
}

function report(what: string, { base, other, ratio }: Comparison): void {
  const ms = (time: number) => `${time.toFixed(2)} ms`
  const verdict = ratio <= ALLOWED ? 'within' : 'more than'
  console.log(
    `${what}: OAuth ${ms(base)}, legacy ${ms(other)}, ratio ${ratio.toFixed(2)} (${verdict} ${ALLOWED.toFixed(2)})`,
  )
}
