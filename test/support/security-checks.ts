import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** What each check tries and expects, in a few words. `later` names the feature that it waits for. */
export const securityChecks: Record<number, { request: string; expect: string; later?: string }> = {
  1: {
    request: 'redirect_uri with another path, query, slash, case, port or user part',
    expect: 'a page, no redirect',
  },
  2: { request: 'no redirect_uri', expect: 'a page, no redirect' },
  3: {
    request: 'native client on a loopback address with any port',
    expect: 'accepted; look-alike hosts refused',
  },
  4: { request: 'unknown client_id with markup', expect: 'an escaped page' },
  5: { request: 'response types with tokens', expect: 'unsupported_response_type' },
  6: { request: 'no PKCE, plain, a bad challenge', expect: 'invalid_request' },
  7: { request: 'a parameter twice', expect: 'invalid_request at the registered address, or a page' },
  8: { request: 'success and error answers', expect: 'iss is the issuer' },
  9: {
    request: 'prompt=none without a session; prompt=none login',
    expect: 'login_required; invalid_request',
  },
  10: { request: 'prompt=login or max_age with a session', expect: 'the password again, a new auth_time' },
  11: { request: 'request, request_uri, registration', expect: 'refused, nothing fetched' },
  12: { request: 'form_post with markup in state', expect: 'escaped, strict policy' },
  13: { request: 'state with line breaks, 4 KB, emoji', expect: 'comes back encoded, no split header' },
  14: { request: 'NUL and invalid UTF-8 in any parameter', expect: '400, never 500' },
  15: { request: 'an error for an app that nobody has approved', expect: 'a page with a link, no redirect' },
  16: { request: 'posting a form', expect: '303' },
  17: { request: 'a new dynamic client', expect: 'consent with host, target, device and scopes' },
  18: {
    request: 'two devices, a device without the API, unknown and admin scopes',
    expect: 'invalid_scope that says why',
  },
  19: { request: "another browser's interaction", expect: '400, nothing leaked' },
  20: { request: 'any page', expect: 'strict headers, nonce policy' },
  21: { request: 'a code twice within 10 s; later', expect: 'refused, tokens live; refused, session ended' },
  22: { request: 'twenty exchanges at once', expect: 'one 200, its token lives' },
  23: { request: 'a code with another client, redirect URI or verifier', expect: 'invalid_grant' },
  24: { request: 'an expired code', expect: 'invalid_grant' },
  25: { request: 'a refresh', expect: 'a new pair, the old access token dead' },
  26: { request: 'an old refresh token after its successor was used', expect: 'the session ends' },
  27: { request: 'a refresh whose answer was lost', expect: 'the same pair, one live branch' },
  28: { request: 'ten refreshes at once', expect: 'the same pair' },
  29: {
    request: 'refresh of a deactivated user, an ended session, a removed client; a locked user',
    expect: 'invalid_grant; 503',
  },
  30: { request: "a wider scope; another client's token", expect: 'invalid_scope; invalid_grant' },
  31: { request: 'a verifier without a challenge', expect: 'no code without a challenge' },
  32: {
    request: 'password, implicit, unregistered grants',
    expect: 'unsupported_grant_type, unauthorized_client',
  },
  33: { request: 'wrong secret, two methods, secret in the address', expect: '401, 400' },
  34: {
    request: 'client assertions: wrong audience, key or time, replayed, unsigned',
    expect: 'invalid_client',
  },
  35: { request: 'GET, query, JSON, multipart at the token endpoint', expect: '404 or 400' },
  36: { request: 'answers with secrets', expect: 'no-store' },
  37: { request: 'cross-origin requests', expect: 'open where browsers call, nowhere else, no credentials' },
  38: { request: 'huge bodies, headers that never end', expect: 'cut off' },
  39: { request: 'grant_type, code, client_id twice', expect: 'invalid_request' },
  40: {
    request: 'device code: fast polls, wrong client, refusal, guessing',
    expect: 'slow_down, invalid_grant, access_denied, limited',
  },
  41: { request: 'introspection without authentication or by a public client', expect: '401' },
  42: { request: 'introspection of unknown, expired, revoked tokens', expect: '{"active":false}' },
  43: { request: 'introspection right after ending a session', expect: 'inactive' },
  44: { request: 'a wrong token_type_hint', expect: 'the right answer' },
  45: { request: 'revocation by Matrix rules', expect: '200, session and device gone' },
  46: { request: 'userinfo with other tokens, or in the address', expect: '401 or 400' },
  47: { request: 'logout: bad redirect, no hint, tampered hint, GET', expect: 'no redirect, nothing ended' },
  48: { request: 'back-channel logout tokens', expect: '400', later: 'upstream providers' },
  49: { request: 'the key set; rotation', expect: 'public, unique kid, alg and use; new before first use' },
  50: { request: 'id_tokens', expect: 'algorithm as registered, right claims' },
  51: { request: 'forged Host and forwarded headers', expect: 'change nothing' },
  52: { request: 'X-Forwarded-For from an untrusted peer', expect: 'ignored' },
  53: { request: 'client names with markup, overrides, 10 KB', expect: 'capped, escaped' },
  54: { request: 'jwks_uri, logos and logout addresses at inner addresses', expect: 'never fetched' },
  55: { request: 'bad redirect URIs at registration', expect: 'invalid_redirect_uri' },
  56: { request: 'prototype keys, deep and long JSON', expect: '400 at once' },
  57: { request: 'thousands of identical registrations', expect: 'one client; unused ones go' },
  58: { request: 'failed sign-ins of four kinds', expect: 'same answer, same time' },
  59: {
    request: 'registration and recovery with known and new e-mail',
    expect: 'same answer',
    later: 'sign-up',
  },
  60: { request: 'fifty wrong passwords', expect: 'limited, shared by every form' },
  61: {
    request: '200 sign-ins beside introspection',
    expect: '503 beyond the queue',
  },
  62: { request: 'long, odd and huge passwords', expect: 'exact, or refused before hashing' },
  63: { request: 'forged forms', expect: '403, no change' },
  64: { request: 'planted and replayed cookies', expect: 'a new one; dead' },
  65: { request: 'Set-Cookie', expect: '__Host-, Secure, HttpOnly, SameSite' },
  66: { request: 'changing credentials', expect: 'the present password, end other sessions' },
  67: {
    request: 'recovery links, codes, passkeys',
    expect: 'once, limited',
    later: 'recovery and second factors',
  },
  68: { request: 'next addresses that lead away', expect: 'stays here' },
  69: { request: 'upstream callbacks', expect: 'refused', later: 'upstream providers' },
  70: { request: 'injection in every input', expect: 'literal or 4xx', later: 'the admin API' },
  71: { request: "another person's session", expect: '404' },
  72: { request: 'faults: kill, cut, fill', expect: 'recovers' },
}

/** The files with a test (or a group of tests) for each check, by the `check N` at the start of their titles. */
export async function testsOfChecks(): Promise<Map<number, string[]>> {
  const found = new Map<number, Set<string>>()
  for (const folder of ['http', 'browser', 'synapse', 'faults']) {
    for (const name of await readdir(join(root, 'test', folder))) {
      if (!name.endsWith('.test.ts')) continue
      const source = await readFile(join(root, 'test', folder, name), 'utf8')
      for (const [, numbers = ''] of source.matchAll(/checks? ((?:\d+(?:, | and |: )?)+)/g)) {
        for (const number of numbers.match(/\d+/g) ?? []) {
          const files = found.get(Number(number)) ?? new Set()
          found.set(Number(number), files.add(`test/${folder}/${name}`))
        }
      }
    }
  }
  return new Map([...found].map(([number, files]) => [number, [...files].sort()]))
}

/** docs/security-checks.md, whole. */
export async function renderSecurityChecks(): Promise<string> {
  const tests = await testsOfChecks()
  const rows = Object.entries(securityChecks).map(([number, { request, expect, later }]) => {
    const files = (tests.get(Number(number)) ?? []).map((file) => `[${file.split('/').at(-1)}](../${file})`)
    const where = files.length > 0 ? files.join(', ') : `comes with ${later ?? '?'}`
    return `| ${number} | ${request} | ${expect} | ${where} |`
  })
  return `# Security checks

What a stranger may try, what must happen, and the tests that try it: their titles carry the number. This page is made
from them (\`npm test\` fails when it is out of date; \`npx vitest run test/http/security-checks.test.ts -u\` writes it).

| # | request | must happen | tests |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}
