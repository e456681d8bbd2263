import type { Knex } from 'knex'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { createCompatSessions } from '../compat/compat-session.ts'
import type { Config } from '../config/index.ts'
import type { Homeserver } from '../homeserver/client.ts'
import { deleteQueuedDevices, queueDeviceDeletion } from '../homeserver/device-sync.ts'
import { provisionUser } from '../homeserver/provisioning.ts'
import type { Jobs } from '../jobs/jobs.ts'
import { queueLogoutNotice } from '../oauth/backchannel/logout-notices.ts'
import type { PolicyGate } from '../policy/gate.ts'
import { createSessionLimit } from '../sessions/session-limit.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createSessionStarter } from '../sessions/start/start.ts'

/** What starts and ends sessions, with their devices at the homeserver: for the server and for commands. */
export function createSessionServices(deps: {
  config: Config
  db: Knex
  homeserver: Homeserver
  jobs: Jobs
  clock: Clock
  log: Logger
  /** The operator's limit of sessions; commands of the operator are held to none. */
  gate: Pick<PolicyGate, 'sessionLimit'>
}) {
  const { config, db, homeserver, jobs, clock, log, gate } = deps
  const homeserverDeps = { knex: db, homeserver, clock, log }
  const sessions = createSessions({
    db,
    clock,
    queueDeviceDeletion: (trx, device) => queueDeviceDeletion(jobs, trx, device),
    queueLogoutNotice: (trx, session) => queueLogoutNotice(jobs, trx, session),
    deleteQueuedDevices: (deletions) => deleteQueuedDevices({ ...homeserverDeps, jobs }, deletions),
  })
  const sessionLimit = createSessionLimit({ db, clock, gate, sessions })
  const startSession = createSessionStarter({
    db,
    clock,
    sessions,
    absoluteLimit: config.sessions.absolute_limit,
    provisionUser: (user) => provisionUser(homeserverDeps, user),
    upsertDevice: (localpart, deviceId, displayName) =>
      homeserver.upsertDevice({ localpart, deviceId, ...(displayName ? { displayName } : {}) }),
    sessionLimit,
  })
  const startCompatSession = createCompatSessions({
    startSession,
    serverName: config.matrix.server_name,
    accessTokenTtl: config.tokens.access_token_ttl,
  })
  return { sessions, sessionLimit, startSession, startCompatSession }
}
