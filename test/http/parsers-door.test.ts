import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern } from '../support/postern.ts'

let postern: Awaited<ReturnType<typeof startPostern>>
beforeAll(async () => {
  const client = {
    client_id: 'known-app',
    auth_method: 'none',
    redirect_uris: ['https://app.example.com/cb'],
  }
  postern = await startPostern({ config: { clients: [client] } })
})
afterAll(() => postern.close())

const AUTHORIZE = [
  'client_id=known-app&response_type=code&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&scope=openid',
  'code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256',
].join('&')
const FORBIDDEN = ['%00', '%ff%fe', '%ED%A0%80', '%C0%80']

function postForm(path: string, body: string | Buffer) {
  return fetch(new URL(path, postern.url), {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
  })
}

describe('bytes that no database stores', () => {
  test.each(FORBIDDEN)('check 14: %s in an address gets 400', async (bytes) => {
    for (const path of [
      `authorize?${AUTHORIZE}&login_hint=${bytes}`,
      `authorize?${AUTHORIZE}&state=${bytes}`,
      `authorize?${AUTHORIZE}&${bytes}=x`,
      `.well-known/webfinger?resource=acct:${bytes}@localhost.test`,
      `link?user_code=${bytes}`,
      `interaction/${bytes}`,
      `assets/${bytes}`,
      `oauth2/logout?id_token_hint=${bytes}`,
    ]) {
      const answer = await fetch(postern.url + path, { redirect: 'manual' })
      expect([path, answer.status]).toEqual([path, 400])
    }
  })

  test.each(FORBIDDEN)('check 14: %s in a form gets a 4xx and never a 500', async (bytes) => {
    for (const [path, body] of [
      ['authorize', `${AUTHORIZE}&login_hint=${bytes}`],
      ['authorize', `${AUTHORIZE}&state=${bytes}`],
      ['oauth2/token', `grant_type=authorization_code&client_id=known-app&code=${bytes}`],
      ['oauth2/token', `grant_type=refresh_token&client_id=${bytes}&refresh_token=x`],
      ['oauth2/token', `grant_type=refresh_token&client_id=known-app&refresh_token=${bytes}`],
      ['oauth2/token', `grant_type=${bytes}&client_id=known-app`],
      ['oauth2/revoke', `token=${bytes}&client_id=known-app`],
      ['oauth2/device', `client_id=known-app&scope=${bytes}`],
      ['oauth2/device', `client_id=${bytes}&scope=openid`],
      ['oauth2/introspect', `token=${bytes}&client_id=${bytes}`],
      ['oauth2/logout', `id_token_hint=${bytes}`],
      ['link', `user_code=${bytes}`],
    ] as const) {
      const answer = await postForm(path, body)
      expect([path, body, answer.status >= 400 && answer.status < 500]).toEqual([path, body, true])
    }
  })

  test('raw bytes are refused like encoded ones', async () => {
    const body = Buffer.concat([Buffer.from('client_id=known-app&token='), Buffer.from([0xff, 0xfe])])
    expect((await postForm('oauth2/revoke', body)).status).toBe(400)
    expect((await postForm('oauth2/token', Buffer.from('grant_type=a\0b'))).status).toBe(400)
  })

  test('a client ID in a Basic header may hold them without harm', async () => {
    for (const id of ['a\0b', '\xff', '%00', '%ff']) {
      const answer = await fetch(new URL('oauth2/token', postern.url), {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${id}:secret`, 'latin1').toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      })
      expect([id, answer.status >= 400 && answer.status < 500]).toEqual([id, true])
    }
  })
})

describe('WebFinger', () => {
  test('any name at the server leads to the issuer', async () => {
    const url = new URL('.well-known/webfinger?resource=acct:alice@localhost.test', postern.url)
    const answer = await fetch(url, { headers: { origin: 'https://rp.example' } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/jrd\+json/)
    // RFC 7033 §5
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(await answer.json()).toEqual({
      subject: 'acct:alice@localhost.test',
      links: [{ rel: 'http://openid.net/specs/connect/1.0/issuer', href: postern.url }],
    })
  })

  test('another server is not found, and a missing resource is a bad request', async () => {
    const ask = (query: string) => fetch(new URL(`.well-known/webfinger?${query}`, postern.url))
    expect((await ask('resource=acct:alice@evil.org')).status).toBe(404)
    expect((await ask('')).status).toBe(400)
  })
})
