import { createAgent } from '../agent.ts'
import { authorize, exchange, PASSWORD, registerClient, type Tokens } from '../oauth.ts'

/** What an app or a browser does. The passwords are all the same. */
export type Act =
  | { act: 'set-up'; link: string; username: string }
  | { act: 'old-app' | 'new-app'; username: string }
  | { act: 'whoami'; token: string }

export interface Done {
  /** The access token that it got or was given. */
  token?: string
  /** What the homeserver says to that. */
  whoami?: Record<string, unknown>
  /** Of the page that it ended at. */
  page?: string
}

const HOMESERVER = 'https://matrix.example.org'

/** Runs on the machine whose people are `example.org`, where the public names lead to it. */
async function perform(act: Act): Promise<Done> {
  if (act.act === 'set-up') return { page: await setUp(act) }
  const token =
    act.act === 'whoami'
      ? act.token
      : await (act.act === 'old-app' ? passwordSignIn(act.username) : oauthSignIn(act.username))
  return { token, whoami: await whoami(token) }
}

async function setUp({ link, username }: { link: string; username: string }): Promise<string> {
  const agent = createAgent(new URL(link).origin)
  const fields = { username, password: PASSWORD, password_again: PASSWORD }
  const page = await agent.follow(await agent.submit(await agent.get(link), fields))
  return `${page.status} ${page.url}`
}

async function passwordSignIn(username: string): Promise<string> {
  const response = await fetch(`${HOMESERVER}/_matrix/client/v3/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: username },
      password: PASSWORD,
    }),
  })
  return tokenOf(response)
}

/** From what the homeserver says of its authentication to a token. */
async function oauthSignIn(username: string): Promise<string> {
  const metadata = await fetch(`${HOMESERVER}/_matrix/client/v1/auth_metadata`)
  const { issuer: url } = (await metadata.json()) as { issuer: string }
  const clientId = await registerClient({ url })
  const { code, request } = await authorize({ url }, clientId, username)
  return tokenOf(await exchange({ url }, clientId, code, request.verifier))
}

async function tokenOf(response: Response): Promise<string> {
  const body = (await response.json()) as Partial<Tokens>
  if (!body.access_token) throw new Error(`${response.status} ${JSON.stringify(body)}`)
  return body.access_token
}

async function whoami(token: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${HOMESERVER}/_matrix/client/v3/account/whoami`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return (await response.json()) as Record<string, unknown>
}

const { ACT } = process.env
if (ACT) process.stdout.write(JSON.stringify(await perform(JSON.parse(ACT))))
