import { type Agent, createAgent } from './agent.ts'
import { signIn } from './oauth.ts'
import type { TestPostern } from './postern.ts'

/** A browser in which someone is signed in on the account page, by way of the sign-in. */
export async function openAccount(
  postern: TestPostern,
  username: string,
  agent: Agent = createAgent(postern.url),
): Promise<Agent> {
  const page = await agent.follow(await agent.get(`${postern.url}account`))
  const account = await signIn(agent, page, username)
  if (!account.body.includes(`@${username}:`))
    throw new Error(`Not signed in: ${account.body.slice(0, 2000)}`)
  return agent
}

/** The ID of the first app session on someone's account page. */
export async function latestSession(postern: TestPostern, username: string): Promise<string> {
  const agent = await openAccount(postern, username)
  const page = await agent.get(`${postern.url}account`)
  const id = /\/account\/sessions\/([0-9A-Z]{26})/.exec(page.body)?.[1]
  if (!id) throw new Error('No session on the account page')
  return id
}
