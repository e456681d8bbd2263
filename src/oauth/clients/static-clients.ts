import type { Knex } from 'knex'
import type { ClientConfig } from '../../config/sections/clients.ts'
import { PosternError } from '../../errors.ts'
import { newId } from '../../ids.ts'
import { hashSecret } from '../../tokens/format.ts'
import { newClientSecret } from './client-secret.ts'
import { hasSecret } from './clients.ts'
import { toMetadata } from './configured-clients.ts'
import { insertStaticClient } from './store.ts'

/**
 * Adds a client that stays in the database (`client add`), with a fresh secret where its method needs one.
 * @returns the secret too, this one time: only its hash is kept
 * @throws PosternError `client_exists` where the ID is taken
 */
export async function addStaticClient(
  db: Knex,
  client: Omit<ClientConfig, 'client_id' | 'client_secret'> & { client_id?: string | undefined },
  now: Date,
): Promise<{ clientId: string; secret: string | undefined }> {
  const { client_id, ...rest } = client
  const clientId = client_id ?? newId(now)
  const secret = hasSecret(client.auth_method) ? newClientSecret() : undefined
  const added = await insertStaticClient(db, {
    clientId,
    metadata: toMetadata(rest),
    secretHash: secret === undefined ? null : hashSecret(secret),
    createdAt: now,
  })
  if (!added) throw new PosternError('client_exists', `There is a client with the ID ${clientId} already`)
  return { clientId, secret }
}
