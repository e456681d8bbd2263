import { randomUUID } from 'node:crypto'
import type Provider from 'oidc-provider'
import type { Session } from '../../sessions/store.ts'

interface LibraryIdToken {
  mask: object
  set(name: string, value: unknown): void
  issue(options: { use: 'logout' }): Promise<string>
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/**
 * A logout token (Back-Channel Logout 1.0 §2.4) for the end of a session, signed like the app's id_tokens and good for
 * two minutes. Each is made when it is sent and has a `jti` of its own: an app that failed half-way must not take the
 * next one for a replay, and signing out once more changes nothing. It names user and session, so that an app which
 * knows `sid` ends no other session of the user. It never has a `nonce`, by which it could pass for an id_token.
 * @returns undefined where the client is gone
 */
export async function issueLogoutToken(
  provider: Provider,
  session: Pick<Session, 'id'> & { clientId: string; userId: string },
): Promise<string | undefined> {
  const client = await provider.Client.find(session.clientId)
  if (!client) return undefined
  const IdToken = provider.IdToken as unknown as new (
    claims: object,
    options: { client: object },
  ) => LibraryIdToken
  const token = new IdToken({ sub: session.userId }, { client })
  token.mask = { sub: null }
  token.set('sid', session.id)
  token.set('jti', randomUUID())
  token.set('events', { [EVENT]: {} })
  return token.issue({ use: 'logout' })
}
