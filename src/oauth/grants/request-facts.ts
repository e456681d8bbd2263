import type { Knex } from 'knex'
import type { Context } from 'koa'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { clientName } from '../clients/clients.ts'
import { findClient } from '../clients/store.ts'

const MAX_USER_AGENT = 500
/** Synapse refuses longer device names. */
const MAX_DEVICE_NAME = 100

/** What a request tells about where it comes from. */
export function createRequestFacts({ db }: { db: Knex }) {
  return {
    /** The client's address, as the trusted proxies report it; the front door puts it there. */
    ip: (ctx: Context | KoaContextWithOIDC): string => ctx.state.ip as string,
    userAgent: (ctx: Context | KoaContextWithOIDC): string | null => {
      const value = ctx
        .get('User-Agent')
        .replaceAll(/\p{Cc}/gu, ' ')
        .slice(0, MAX_USER_AGENT)
      return value === '' ? null : value
    },
    /** The name that a new device gets at the homeserver: the app's. */
    deviceName: async (ctx: KoaContextWithOIDC): Promise<string | null> => {
      const client = await findClient(db, ctx.oidc.client?.clientId ?? '')
      return client ? (clientName(client.metadata)?.slice(0, MAX_DEVICE_NAME) ?? null) : null
    },
  }
}

export type RequestFacts = ReturnType<typeof createRequestFacts>
