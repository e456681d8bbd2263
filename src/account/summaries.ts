import type { Knex } from 'knex'
import { type Client, clientHost, clientName } from '../oauth/clients/clients.ts'
import { findClient } from '../oauth/clients/store.ts'
import type { BrowserSession } from '../sessions/browser/store.ts'
import type { Session } from '../sessions/store.ts'
import type { BrowserSessionSummary, SessionSummary } from '../views/index.ts'

const BROWSERS: [RegExp, string][] = [
  [/Edg(?:A|iOS)?\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/(?:Firefox|FxiOS)\//, 'Firefox'],
  [/(?:Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/Safari\//, 'Safari'],
]
const SYSTEMS: [RegExp, string][] = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
]

/** A browser in words that a person knows (`Firefox on Linux`); the first word of anything else. */
export function browserName(userAgent: string | null): string {
  if (!userAgent) return '?'
  const find = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(userAgent))?.[1]
  const browser = find(BROWSERS) ?? userAgent.split(/[/ ]/)[0] ?? '?'
  const system = find(SYSTEMS)
  return system ? `${browser} · ${system}` : browser
}

function summary(
  session: Session,
  client: Client | undefined,
  locale: string,
  browserId: string,
): SessionSummary {
  const name = client && clientName(client.metadata, locale)
  return {
    id: session.id,
    name: session.name ?? name ?? session.deviceId ?? session.id,
    clientName: name,
    clientHost: client && clientHost(client.metadata),
    kind: session.kind,
    deviceId: session.deviceId,
    createdAt: session.createdAt,
    lastActiveAt: session.lastActiveAt,
    lastActiveIp: session.lastActiveIp,
    current: session.browserSessionId === browserId,
  }
}

/** App sessions as the account page shows them, each with its app's own name and host. */
export async function sessionSummaries(
  db: Knex,
  sessions: Session[],
  { locale, browserId }: { locale: string; browserId: string },
): Promise<SessionSummary[]> {
  const ids = [...new Set(sessions.flatMap(({ clientId }) => (clientId === null ? [] : [clientId])))]
  const clients = new Map(await Promise.all(ids.map(async (id) => [id, await findClient(db, id)] as const)))
  return sessions.map((session) => summary(session, clients.get(session.clientId ?? ''), locale, browserId))
}

export function browserSummary(session: BrowserSession, currentId: string): BrowserSessionSummary {
  return {
    id: session.id,
    name: browserName(session.userAgent),
    createdAt: session.createdAt,
    lastActiveAt: session.lastActiveAt,
    lastActiveIp: session.lastActiveIp,
    current: session.id === currentId,
  }
}
