import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern } from '../support/postern.ts'

const API = 'urn:matrix:client:api:*'
const DEVICE = 'urn:matrix:client:device:'

let postern: Awaited<ReturnType<typeof startPostern>>
beforeAll(async () => {
  const client = {
    client_id: 'known-app',
    auth_method: 'none',
    redirect_uris: ['https://app.example.com/cb'],
    scope: `openid ${API}`,
  }
  postern = await startPostern({ config: { clients: [client] } })
})
afterAll(() => postern.close())

/** Where an authorization request of a client of the configuration is redirected to. */
async function authorize(scope: string): Promise<URL> {
  const url = new URL('authorize', postern.url)
  url.search = new URLSearchParams({
    client_id: 'known-app',
    redirect_uri: 'https://app.example.com/cb',
    response_type: 'code',
    scope,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    state: 'state',
  }).toString()
  const answer = await fetch(url, { redirect: 'manual', headers: { accept: 'text/html' } })
  expect(answer.status).toBe(303)
  return new URL(answer.headers.get('location')!, postern.url)
}

describe('the scope of an authorization request', () => {
  test.each([
    ['two devices', `${API} ${DEVICE}AAAAAAAAAA ${DEVICE}BBBBBBBBBB`, 'two different devices'],
    ['a device without the API', `openid ${DEVICE}AAAAAAAAAA`, API],
    ['an unknown name', `${API} urn:example:thing`, 'urn:example:thing'],
    ['a device ID of 256 characters', `${API} ${DEVICE}${'A'.repeat(256)}`, 'device ID'],
    ['an admin scope that the operator did not list', 'openid urn:mas:admin', 'urn:mas:admin'],
    ['a scope that the operator did not list', 'openid email', 'email'],
  ])('check 18: %s is refused with a message that says why', async (_, scope, message) => {
    const location = await authorize(scope)
    expect(location.origin + location.pathname).toBe('https://app.example.com/cb')
    expect(location.searchParams.get('error')).toBe('invalid_scope')
    expect(location.searchParams.get('error_description')).toContain(message)
    expect(location.searchParams.get('state')).toBe('state')
  })

  test.each([`${API} ${DEVICE}AAAAAAAAAA`, 'openid profile offline_access', `openid ${API} ${DEVICE}~`])(
    '%s leads to sign-in',
    async (scope) => {
      const location = await authorize(scope)
      expect(location.origin).toBe(new URL(postern.url).origin)
    },
  )
})
