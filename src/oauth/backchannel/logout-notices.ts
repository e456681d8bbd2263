import type { Knex } from 'knex'
import type { Logger } from 'pino'
import { recordAudit } from '../../audit/store.ts'
import type { Clock } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { Jobs } from '../../jobs/jobs.ts'
import { findSession, type Session } from '../../sessions/store.ts'
import { findClient } from '../clients/store.ts'
import type { Deliver } from './deliver.ts'

/** How long an app that does not answer is tried, after the session's end, in seconds. docs/tokens.md tells. */
const GIVE_UP_SECONDS = 6 * 3600

/** A session that its app knows by an id_token. */
type NoticedSession = Session & { userId: string; clientId: string }

function isKnownByIdToken(session: Session): session is NoticedSession {
  if (session.kind !== 'oauth' || session.userId === null || session.clientId === null) return false
  return session.scope.split(' ').includes('openid')
}

/** Queues the notice of a session's end, in the transaction that ends it, where its app wants to be told. */
export async function queueLogoutNotice(
  jobs: Pick<Jobs, 'enqueue'>,
  trx: Knex,
  session: Session,
): Promise<void> {
  if (!isKnownByIdToken(session)) return
  const { id: sessionId, clientId } = session
  const client = await findClient(trx, clientId)
  if (client?.metadata.backchannel_logout_uri === undefined) return
  await jobs.enqueue(trx, 'client.logout', { sessionId }, { clientId })
}

export interface LogoutNoticesDeps {
  db: Knex
  clock: Clock
  log: Logger
  deliver: Deliver
  issueToken: (session: NoticedSession) => Promise<string | undefined>
  /** `client_registration.allow_insecure_uris`: apps in development are on the developer's machine. */
  allowInsecureUris: boolean
}

/**
 * Tells an app that a session of its has ended (OpenID Connect Back-Channel Logout 1.0). The job carries the session's
 * ID alone: what is sent, and where, goes by the present state, so that it may run late or twice.
 */
export function createLogoutNotices(deps: LogoutNoticesDeps) {
  const { db, clock, log, deliver, issueToken, allowInsecureUris } = deps

  /** The app was not told, and will not be. */
  async function giveUp(session: NoticedSession, reason: string): Promise<void> {
    const { id: sessionId, userId, clientId } = session
    log.warn({ sessionId, clientId, reason }, 'client.logout_failed')
    await recordAudit(db, clock.now(), {
      event: 'client.logout_failed',
      actor: 'system',
      userId,
      sessionId,
      clientId,
      details: { reason },
    })
  }

  /** @throws PosternError `client_unavailable` where it is worth another try */
  return async function sendLogoutNotice({ sessionId }: { sessionId: string }): Promise<void> {
    const session = await findSession(db, sessionId)
    if (!session?.endedAt || !isKnownByIdToken(session)) return
    const client = await findClient(db, session.clientId)
    const uri = client?.metadata.backchannel_logout_uri
    if (!client || uri === undefined) return
    const token = await issueToken(session)
    if (token === undefined) return
    // An operator's own apps may stand on this machine or beside it; what a stranger registers must be out there.
    const privateToo = client.kind !== 'dynamic' || allowInsecureUris
    const delivery = await deliver(uri, { logout_token: token }, { privateToo })
    if (delivery.result === 'delivered') {
      log.info({ sessionId, clientId: client.clientId }, 'client.logout_told')
      return
    }
    const waited = (clock.now().getTime() - session.endedAt.getTime()) / 1000
    if (delivery.result === 'refused' || waited > GIVE_UP_SECONDS) return giveUp(session, delivery.reason)
    throw new PosternError('client_unavailable', 'The app cannot be told yet', { detail: delivery.reason })
  }
}
