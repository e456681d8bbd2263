import type { Knex } from 'knex'
import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Clock } from '../../clock.ts'
import { hashSecret } from '../../tokens/format.ts'
import type { Client } from '../clients/clients.ts'
import { findClient } from '../clients/store.ts'
import { consumePushedRequest, deleteRecord, findRecord, insertRecord, upsertRecord } from './store.ts'

/** Stands for an interaction's own ID inside its row, so that the row does not hold the secret. */
const OWN_ID = '{id}'

/**
 * The library's view of a client. Our scope policy stands in for its `scope` member. What it takes for the secret
 * is our hash of it: see `compareClientSecret` in patches.ts.
 */
export function clientPayload(client: Client): AdapterPayload {
  const { scope: _scope, skip_consent: _skip, may_introspect: _may, ...metadata } = client.metadata
  return {
    ...Object.fromEntries(Object.entries(metadata).filter(([name]) => !name.includes('#'))),
    client_id: client.clientId,
    ...(client.secretHash ? { client_secret: client.secretHash.toString('hex') } : {}),
  } as AdapterPayload
}

function isText(id: string): boolean {
  return !id.includes('\0') && id.isWellFormed() && id.length <= 512
}

/**
 * What oidc-provider keeps between requests, under the SHA-256 of each ID and without the raw secrets that it
 * would put into the payload (invariant 1): `jti` is the ID itself, an interaction's `session.cookie` is a
 * bearer secret, and its `returnTo` repeats the ID.
 */
export function createAdapter({ db, clock }: { db: Knex; clock: Clock }) {
  return function adapterFor(model: string): Adapter {
    const unsupported = async () => {
      throw new Error(`${model} is not kept by the OpenID Provider library`)
    }
    if (model === 'Client') {
      return {
        find: async (id) => {
          const client = isText(id) ? await findClient(db, id) : undefined
          return client && clientPayload(client)
        },
        upsert: unsupported,
        findByUserCode: unsupported,
        findByUid: unsupported,
        consume: unsupported,
        destroy: unsupported,
        revokeByGrantId: unsupported,
      }
    }
    const isPushed = model === 'PushedAuthorizationRequest'
    return {
      async upsert(id, payload, expiresIn) {
        const { jti: _jti, session: _session, returnTo, ...rest } = payload
        const stored = returnTo ? { ...rest, returnTo: String(returnTo).replaceAll(id, OWN_ID) } : rest
        const expiresAt = new Date(clock.now().getTime() + (expiresIn ?? 0) * 1000)
        // Of twins with the same assertion one may be the first (RFC 7523 §3, check 34): the library only looks.
        const write = model === 'ReplayDetection' ? insertRecord : upsertRecord
        await write(db, model, hashSecret(id), stored, expiresAt)
      },
      async find(id) {
        const record = await findRecord(db, model, hashSecret(id))
        // A pushed request is looked up once more after the sign-in, however long that took; until then the library
        // itself looks at its expiry.
        if (!record || (!isPushed && record.expiresAt <= clock.now())) return undefined
        const { returnTo, ...rest } = record.payload
        return {
          ...rest,
          ...(typeof returnTo === 'string' ? { returnTo: returnTo.replaceAll(OWN_ID, id) } : {}),
          ...(record.consumedAt ? { consumed: true } : {}),
          jti: id,
        }
      },
      destroy: (id) => deleteRecord(db, model, hashSecret(id)),
      // Codes are consumed by our own grant, in the transaction that makes the session.
      consume: isPushed ? (id) => consumePushedRequest(db, model, hashSecret(id), clock.now()) : unsupported,
      findByUserCode: unsupported,
      findByUid: unsupported,
      revokeByGrantId: unsupported,
    }
  }
}
