import { expect, test } from 'vitest'
import { createAgent } from '../support/agent.ts'
import { addUser, authorizationRequest, PASSWORD, REDIRECT_URI } from '../support/oauth.ts'
import { freePort, startPostern } from '../support/postern.ts'

test('check 65: over https every cookie is Secure, HttpOnly, SameSite=Lax and bound to this host', async () => {
  const port = await freePort()
  const postern = await startPostern({
    config: {
      http: { public_url: 'https://auth.example.test/', listeners: [{ host: '127.0.0.1', port }] },
      clients: [
        { client_id: 'app', client_name: 'App', redirect_uris: [REDIRECT_URI], auth_method: 'none' },
      ] as never,
    },
  })
  await addUser(postern, 'alice')
  const here = `http://127.0.0.1:${port}/`
  const agent = createAgent(here)
  const request = new URL(authorizationRequest({ ...postern, url: here }, 'app').url)
  await agent.get(request.href)
  const page = await agent.get(`${here}login`)
  await agent.submit(page, { username: 'alice', password: PASSWORD }, { origin: 'https://auth.example.test' })
  const headers = [...agent.cookies.values()].map(({ header }) => header)
  expect(headers.length).toBeGreaterThanOrEqual(4)
  for (const header of headers) {
    expect(header.toLowerCase()).toMatch(/; secure/)
    expect(header.toLowerCase()).toMatch(/; httponly/)
    expect(header.toLowerCase()).toMatch(/; samesite=lax/)
    expect(header.toLowerCase()).not.toContain('domain=')
    expect(header.length).toBeLessThan(4096)
    // The library ties its interaction and resume cookies to a path, which `__Host-` forbids.
    if (/path=\/(?:;|$)/i.test(header)) expect(header).toMatch(/^__Host-/)
    else expect(header).toMatch(/^__Secure-/)
  }
  expect((await fetch(here)).headers.get('strict-transport-security')).toContain('max-age=31536000')
  await postern.close()
})
