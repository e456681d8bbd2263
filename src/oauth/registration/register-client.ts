import type { Knex } from 'knex'
import type { Clock } from '../../clock.ts'
import { LimitedError } from '../../errors.ts'
import { newId } from '../../ids.ts'
import type { Origin, PolicyGate } from '../../policy/gate.ts'
import { PolicyDeniedError } from '../../policy/refusal.ts'
import { hashSecret } from '../../tokens/format.ts'
import { newClientSecret } from '../clients/client-secret.ts'
import { type Client, type ClientMetadata, hasSecret } from '../clients/clients.ts'
import { findClientByDigest, insertDynamicClient, touchClient } from '../clients/store.ts'
import { readClientMetadata } from './client-metadata.ts'
import { metadataDigest } from './metadata-digest.ts'
import { parseBody } from './parse-body.ts'
import { RegistrationError } from './registration-error.ts'

export interface RegistrationDeps {
  db: Knex
  clock: Clock
  /** `client_registration.allow_insecure_uris` */
  allowInsecureUris: boolean
  /** the OAuth library's own check; throws an error with an OAuth `error` code */
  validateMetadata(metadata: Record<string, unknown>): void
  /** counts a new client against its address; throws LimitedError */
  limit(ip: string): Promise<void>
  /** the operator's rules; throws PolicyDeniedError */
  gate: Pick<PolicyGate, 'registration'>
}

export interface RegistrationAnswer {
  status: 201 | 400 | 429
  headers: Record<string, string>
  body: Record<string, unknown>
}

/**
 * Registers an app (RFC 7591; Matrix specification, "Client registration"). Matrix clients register anew before
 * each sign-in: the same metadata of a public client gives the same `client_id`, and that is never limited.
 * @param body the raw body
 */
export async function registerClient(
  deps: RegistrationDeps,
  body: Buffer,
  origin: Origin,
): Promise<RegistrationAnswer> {
  try {
    const metadata = readClientMetadata(parseBody(body), deps)
    // Known apps too: a rule that was made after they registered must reach them, and each sign-in registers anew.
    deps.gate.registration(metadata, origin)
    const { ip } = origin
    if (metadata.token_endpoint_auth_method !== 'none') return await registerConfidential(deps, metadata, ip)
    return created(await registerPublic(deps, metadata, ip))
  } catch (error) {
    // RFC 7591 §3.2.2 has no code for it but this one.
    if (error instanceof PolicyDeniedError) return refused('invalid_client_metadata', error.message)
    if (error instanceof RegistrationError) return refused(error.code, error.message)
    if (error instanceof LimitedError) {
      const answer = { error: 'temporarily_unavailable', error_description: error.message }
      return { status: 429, headers: { 'retry-after': String(error.retryAfterSeconds) }, body: answer }
    }
    throw error
  }
}

async function registerPublic(deps: RegistrationDeps, metadata: ClientMetadata, ip: string): Promise<Client> {
  const digest = metadataDigest(metadata)
  const now = deps.clock.now()
  const known = await findClientByDigest(deps.db, digest)
  if (known) {
    await touchClient(deps.db, known.clientId, now)
    return known
  }
  const client = { clientId: newId(now), metadata, secretHash: null, createdAt: now }
  validate(deps, { client_id: client.clientId, ...metadata })
  await deps.limit(ip)
  return insertDynamicClient(deps.db, client, digest)
}

/** A client with a secret or a key is always a new one: what proves one stranger's identity is not given to another. */
async function registerConfidential(
  deps: RegistrationDeps,
  metadata: ClientMetadata,
  ip: string,
): Promise<RegistrationAnswer> {
  const now = deps.clock.now()
  const secret = hasSecret(metadata.token_endpoint_auth_method) ? newClientSecret() : undefined
  const secretHash = secret === undefined ? null : hashSecret(secret)
  const client = { clientId: newId(now), metadata, secretHash, createdAt: now }
  validate(deps, { client_id: client.clientId, ...(secret ? { client_secret: secret } : {}), ...metadata })
  await deps.limit(ip)
  // 0: it doesn't expire (RFC 7591 §3.2.1)
  const own = secret === undefined ? {} : { client_secret: secret, client_secret_expires_at: 0 }
  return created(await insertDynamicClient(deps.db, client, null), own)
}

/** The library's word comes last: a client that it would refuse later must not be registered now. */
function validate(deps: RegistrationDeps, metadata: Record<string, unknown>): void {
  try {
    deps.validateMetadata(metadata)
  } catch (error) {
    const { error: code, error_description: description } = error as {
      error?: unknown
      error_description?: unknown
    }
    if (code !== 'invalid_redirect_uri' && code !== 'invalid_client_metadata') throw error
    throw new RegistrationError(code, String(description ?? 'the metadata was refused'))
  }
}

function created(client: Client, secret: Record<string, unknown> = {}): RegistrationAnswer {
  return {
    status: 201,
    headers: NO_STORE,
    body: {
      client_id: client.clientId,
      client_id_issued_at: Math.floor(client.createdAt.getTime() / 1000),
      ...secret,
      ...client.metadata,
    },
  }
}

/** A registration that was refused (RFC 7591 §3.2.2). */
export function refused(error: string, description: string): RegistrationAnswer {
  return { status: 400, headers: NO_STORE, body: { error, error_description: description } }
}

/** RFC 7591 §3.2.1: the answer may hold a secret. */
const NO_STORE = { 'cache-control': 'no-store' }
