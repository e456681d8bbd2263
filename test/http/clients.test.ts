import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId, toUuid } from '../../src/ids.ts'
import {
  type ClientMetadata,
  clientHost,
  clientName,
  isClientSecret,
} from '../../src/oauth/clients/clients.ts'
import { syncConfiguredClients } from '../../src/oauth/clients/configured-clients.ts'
import { addStaticClient } from '../../src/oauth/clients/static-clients.ts'
import {
  deleteUnusedClients,
  findClient,
  insertDynamicClient,
  listClients,
  touchClient,
} from '../../src/oauth/clients/store.ts'
import { createTestDatabase } from '../support/database.ts'

const metadata: ClientMetadata = {
  client_uri: 'https://app.example.com/',
  client_name: 'Example',
  'client_name#fr': 'Exemple',
  'client_name#pt-BR': 'Exemplo',
  redirect_uris: ['https://app.example.com/cb'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
  application_type: 'web',
}

const configured = {
  client_id: 'monitor',
  auth_method: 'client_secret_basic' as const,
  client_secret: 'a long secret of the operator',
  redirect_uris: [],
  post_logout_redirect_uris: [],
  backchannel_logout_session_required: false,
  require_pushed_authorization_requests: false,
  grant_types: ['client_credentials' as const],
  scope: 'urn:mas:admin',
  skip_consent: false,
  may_introspect: true,
  application_type: 'web' as const,
}

const start = new Date('2026-01-01T00:00:00Z')
const clock = { now: () => start }
const daysLater = (days: number) => new Date(start.getTime() + days * 86_400_000)

describe('names of clients', () => {
  test('the name is shown in the language asked for, else the plain one, else the host', () => {
    expect(clientName(metadata, 'fr')).toBe('Exemple')
    expect(clientName(metadata, 'fr-CA')).toBe('Exemple')
    expect(clientName(metadata, 'PT-br')).toBe('Exemplo')
    expect(clientName(metadata, 'de')).toBe('Example')
    expect(clientName(metadata)).toBe('Example')
    const { client_name: _, ...nameless } = metadata
    expect(clientName(nameless, 'de')).toBe('app.example.com')
  })

  test('the host is that of the client, also where only a redirect URI tells it', () => {
    expect(clientHost(metadata)).toBe('app.example.com')
    const { client_uri: _, ...rest } = metadata
    expect(clientHost({ ...rest, redirect_uris: ['org.example:/cb', 'https://x.example/cb'] })).toBe(
      'x.example',
    )
    expect(clientHost({ ...rest, redirect_uris: ['org.example:/cb'] })).toBeUndefined()
  })
})

describe('clients in the database', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(() => database.close())

  test('clients of the configuration are written, changed and deleted with it', async () => {
    const db = database.knex
    await syncConfiguredClients(db, [configured, { ...configured, client_id: 'gone' }], clock)
    await syncConfiguredClients(db, [{ ...configured, scope: 'urn:synapse:admin:*' }], clock)
    const client = (await findClient(db, 'monitor'))!
    expect(client).toMatchObject({ kind: 'configured', authMethod: 'client_secret_basic', createdAt: start })
    expect(client.metadata).toMatchObject({ scope: 'urn:synapse:admin:*', may_introspect: true })
    expect(isClientSecret(client, configured.client_secret)).toBe(true)
    expect(isClientSecret(client, 'another')).toBe(false)
    expect(await findClient(db, 'gone')).toBeUndefined()
    expect((await listClients(db, { kind: 'configured' })).map(({ clientId }) => clientId)).toEqual([
      'monitor',
    ])
  })

  test('no secret stands in the database', async () => {
    const { secret } = await addStaticClient(database.knex, { ...configured, client_id: 'added' }, start)
    const rows = await database.knex.raw('select clients::text as row from clients')
    const text = JSON.stringify(rows.rows)
    expect(secret).toHaveLength(43)
    expect(text).not.toContain(secret)
    expect(text).not.toContain(configured.client_secret)
  })

  test('a client added by hand stays when the configuration is read, and its ID is not given twice', async () => {
    const db = database.knex
    await addStaticClient(db, { ...configured, client_id: 'byhand', auth_method: 'none' }, start)
    await expect(addStaticClient(db, { ...configured, client_id: 'byhand' }, start)).rejects.toMatchObject({
      code: 'client_exists',
    })
    await syncConfiguredClients(db, [], clock)
    const client = (await findClient(db, 'byhand'))!
    expect(client).toMatchObject({ kind: 'static', secretHash: null })
    expect(isClientSecret(client, '')).toBe(false)
  })

  test('an ID that no database stores is unknown, not an error', async () => {
    expect(await findClient(database.knex, 'a\0b')).toBeUndefined()
    expect(await findClient(database.knex, '\ud800')).toBeUndefined()
  })

  test('check 57: dynamic clients go once nobody used them for a while; those with a live session stay', async () => {
    const db = database.knex
    const add = async (name: string) => {
      const clientId = newId(start)
      await insertDynamicClient(
        db,
        { clientId, metadata, secretHash: null, createdAt: start },
        Buffer.from(name),
      )
      return clientId
    }
    const [unused, used, live, ended] = [await add('1'), await add('2'), await add('3'), await add('4')]
    const endedLately = await add('5')
    await touchClient(db, used, daysLater(20))
    for (const [clientId, endedAt] of [
      [live, null],
      [ended, start],
      [endedLately, daysLater(15)],
    ] as const) {
      await db('sessions').insert({
        id: toUuid(newId(start)),
        kind: 'oauth',
        client_id: clientId,
        scope: 'openid',
        created_at: start,
        ended_at: endedAt,
      })
    }
    expect(await deleteUnusedClients(db, daysLater(10))).toBe(2)
    expect(await findClient(db, unused)).toBeUndefined()
    expect(await findClient(db, ended)).toBeUndefined()
    expect(await findClient(db, used)).toBeDefined()
    expect(await findClient(db, live)).toBeDefined()
    expect(await findClient(db, endedLately)).toBeDefined()
    expect(await findClient(db, 'byhand')).toBeDefined()
  })
})
