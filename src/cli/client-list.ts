import type { Command } from 'commander'
import type { Knex } from 'knex'
import type { Config } from '../config/index.ts'
import { type ClientKind, type ClientMetadata, clientName } from '../oauth/clients/clients.ts'
import { toMetadata } from '../oauth/clients/configured-clients.ts'
import { listClients } from '../oauth/clients/store.ts'
import type { Context } from './context.ts'
import { withSchema } from './database.ts'

interface Listed {
  client_id: string
  kind: ClientKind
  metadata: ClientMetadata
}

export function addClientList(parent: Command, { terminal, config }: Context): void {
  parent
    .command('list')
    .description(
      'list the clients: of the configuration, added by command (static), and registered (dynamic)',
    )
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const loaded = await config()
      const clients = await withSchema(loaded, ({ knex }) => allClients(knex, loaded))
      if (json) terminal.print(JSON.stringify(clients, null, 2))
      else
        for (const { client_id, kind, metadata } of clients)
          terminal.print([client_id, kind, clientName(metadata)].filter(Boolean).join(' '))
    })
}

/** The configured clients as the configuration has them now: the database learns of a change at the next start. */
async function allClients(db: Knex, config: Config): Promise<Listed[]> {
  const configured = config.clients.map((client) => ({
    client_id: client.client_id,
    kind: 'configured' as const,
    metadata: toMetadata(client),
  }))
  const taken = new Set(configured.map(({ client_id }) => client_id))
  const others: Listed[] = []
  let after: string | undefined
  do {
    const page = await listClients(db, after === undefined ? {} : { after })
    for (const { clientId, kind, metadata } of page)
      if (kind !== 'configured' && !taken.has(clientId)) others.push({ client_id: clientId, kind, metadata })
    after = page.at(-1)?.clientId
  } while (after !== undefined)
  return [...configured, ...others]
}
