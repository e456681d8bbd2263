import type { Command } from 'commander'
import { listLiveSessions, type Session } from '../sessions/store.ts'
import type { Context } from './context.ts'
import { withSchema } from './database.ts'
import { findUser } from './users.ts'

export function addUserSessions(parent: Command, { terminal, config }: Context): void {
  parent
    .command('sessions <name>')
    .description('list where a user is signed in, the last active first')
    .option('--json', 'as JSON')
    .action(async (name: string, { json }: { json?: boolean }) => {
      const loaded = await config()
      const sessions = await withSchema(loaded, async ({ knex }) =>
        listLiveSessions(knex, (await findUser(knex, loaded, name)).id),
      )
      if (json) terminal.print(JSON.stringify(sessions.map(toJson), null, 2))
      else for (const session of sessions) terminal.print(toLine(session))
    })
}

function toLine({ id, kind, clientId, deviceId, createdAt, lastActiveAt }: Session): string {
  const times = [`since ${createdAt.toISOString()}`, lastActiveAt && `active ${lastActiveAt.toISOString()}`]
  const device = deviceId && `device ${deviceId}`
  return [id, kind, clientId && `client ${clientId}`, device, ...times].filter(Boolean).join(' ')
}

function toJson(session: Session) {
  return {
    id: session.id,
    kind: session.kind,
    client_id: session.clientId,
    device_id: session.deviceId,
    scope: session.scope,
    name: session.name,
    created_at: session.createdAt,
    last_active_at: session.lastActiveAt,
    last_active_ip: session.lastActiveIp,
    user_agent: session.userAgent,
  }
}
