import type { Knex } from 'knex'
import { isStorableText } from '../../server/door/forbidden-bytes.ts'
import type { Client, ClientAuthMethod, ClientKind, ClientMetadata } from './clients.ts'

interface ClientRow {
  client_id: string
  kind: ClientKind
  auth_method: ClientAuthMethod
  metadata: ClientMetadata
  secret_hash: Buffer | null
  created_at: Date
  last_used_at: Date | null
}

const COLUMNS = [
  'client_id',
  'kind',
  'auth_method',
  'metadata',
  'secret_hash',
  'created_at',
  'last_used_at',
] as const satisfies (keyof ClientRow)[]

/** How stale `last_used_at` may get before it is written again, in milliseconds: it only decides about clean-up. */
const TOUCH_EVERY = 60 * 60 * 1000

function toClient(row: ClientRow): Client {
  return {
    clientId: row.client_id,
    kind: row.kind,
    authMethod: row.auth_method,
    metadata: row.metadata,
    secretHash: row.secret_hash,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}

/** The client with this ID, of whatever kind. The ID may be any text from outside. */
export async function findClient(db: Knex, clientId: string): Promise<Client | undefined> {
  if (!isStorableText(clientId)) return undefined
  const row = await db<ClientRow>('clients')
    .select(...COLUMNS)
    .where('client_id', clientId)
    .first()
  return row && toClient(row)
}

/** The public dynamic client that was registered with the metadata of this digest. */
export async function findClientByDigest(db: Knex, digest: Buffer): Promise<Client | undefined> {
  const row = await db<ClientRow>('clients')
    .select(...COLUMNS)
    .where('metadata_digest', digest)
    .first()
  return row && toClient(row)
}

/** Clients in the order of their IDs, one page at a time: `after` is the last ID of the page before. */
export async function listClients(
  db: Knex,
  { kind, after, limit = 100 }: { kind?: ClientKind; after?: string; limit?: number } = {},
): Promise<Client[]> {
  const query = db<ClientRow>('clients')
    .select(...COLUMNS)
    .orderBy('client_id')
    .limit(limit)
  if (kind) query.where('kind', kind)
  if (after) query.where('client_id', '>', after)
  return (await query).map(toClient)
}

/**
 * Stores a registration. Where a client with the same digest stands already, that one is returned instead,
 * so that twenty apps that register at once get one `client_id`.
 * @param digest of the metadata of a public client; null for one with a secret, which is never shared
 */
export async function insertDynamicClient(
  db: Knex,
  client: Omit<Client, 'kind' | 'authMethod' | 'lastUsedAt'>,
  digest: Buffer | null,
): Promise<Client> {
  const rows = await db<ClientRow>('clients')
    .insert({ ...toRow(client), kind: 'dynamic', metadata_digest: digest } as object)
    .onConflict('metadata_digest')
    .merge({ last_used_at: client.createdAt })
    .returning(COLUMNS)
  return toClient(rows[0] as ClientRow)
}

/** Stores a client that an operator adds. Returns false, changing nothing, where the ID is taken. */
export async function insertStaticClient(
  db: Knex,
  client: Omit<Client, 'kind' | 'authMethod' | 'lastUsedAt'>,
): Promise<boolean> {
  const rows = await db('clients')
    .insert({ ...toRow(client), kind: 'static' })
    .onConflict('client_id')
    .ignore()
    .returning('client_id')
  return rows.length > 0
}

/** Stores a client of the configuration, which wins over any other client that has its ID. */
export async function upsertConfiguredClient(
  db: Knex,
  client: Omit<Client, 'kind' | 'authMethod' | 'lastUsedAt'>,
): Promise<void> {
  await db('clients')
    .insert({ ...toRow(client), kind: 'configured', metadata_digest: null })
    .onConflict('client_id')
    .merge(['kind', 'auth_method', 'metadata', 'secret_hash', 'metadata_digest'])
}

/** Deletes the clients that came from the configuration and are no longer in it. Returns how many. */
export async function deleteConfiguredClientsExcept(db: Knex, clientIds: string[]): Promise<number> {
  return db('clients').where('kind', 'configured').whereNotIn('client_id', clientIds).delete()
}

/** Notes that a client was used, at most once an hour. */
export async function touchClient(db: Knex, clientId: string, now: Date): Promise<void> {
  const stale = new Date(now.getTime() - TOUCH_EVERY)
  await db('clients')
    .where('client_id', clientId)
    .where((either) => either.whereNull('last_used_at').orWhere('last_used_at', '<', stale))
    .update({ last_used_at: now })
}

/**
 * Deletes dynamic clients that nobody has used since `before`: not registered again, and without a session that
 * lives (then a client must stay, MSC2966) or that ended since. Returns how many.
 */
export async function deleteUnusedClients(db: Knex, before: Date): Promise<number> {
  return db('clients')
    .where('kind', 'dynamic')
    .whereRaw('coalesce(last_used_at, created_at) < ?', [before])
    .whereNotExists(
      db('sessions')
        .select(db.raw('1'))
        .whereRaw('sessions.client_id = clients.client_id')
        .where((either) => either.whereNull('ended_at').orWhere('ended_at', '>=', before)),
    )
    .delete()
}

function toRow(client: Omit<Client, 'kind' | 'authMethod' | 'lastUsedAt'>) {
  return {
    client_id: client.clientId,
    auth_method: client.metadata.token_endpoint_auth_method,
    metadata: JSON.stringify(client.metadata),
    secret_hash: client.secretHash,
    created_at: client.createdAt,
  }
}
