import type {
  AccountFrame,
  BrowserSessionSummary,
  ClientSummary,
  PageData,
  PageName,
  SessionSummary,
} from './page-data.ts'

/** The time at which every sample page is looked at. */
export const sampleNow = new Date('2026-03-12T14:03:00Z')

type Sample = {
  [Name in PageName]: { state: string; page: Name; path: string; data: PageData[Name] }
}[PageName]

const ago = (seconds: number) => new Date(sampleNow.getTime() - seconds * 1000)
const HOUR = 3600
const DAY = 24 * HOUR

const form = (action: string) => ({ action, csrf: 'c2FtcGxlLWNzcmYtdG9rZW4' })

const alice = { mxid: '@alice:example.org', displayName: 'Alice Archer' }

const elementWeb: ClientSummary = {
  name: 'Element Web',
  host: 'app.element.io',
  redirectHost: 'app.element.io',
  logoUri: 'https://app.element.io/logo.png',
  tosUri: 'https://element.io/terms',
  policyUri: 'https://element.io/privacy',
  verified: false,
}

const elementX: ClientSummary = {
  name: 'Element X',
  host: 'element.io',
  redirectScheme: 'io.element.app',
  verified: false,
}

const operatorsApp: ClientSummary = {
  name: 'Wiki of the Archers',
  host: 'wiki.example.org',
  redirectHost: 'wiki.example.org',
  verified: true,
}

const nameless: ClientSummary = { redirectHost: 'localhost', verified: false }

/** Turned around, invisible, far too long, and full of markup: nothing of it may reach the eye. */
const deceitful: ClientSummary = {
  name: `<script>alert(1)</script>\u202egro.elpmaxe\u200b {{7*7}} ${'wide '.repeat(60)}`,
  host: 'a-very-long-host-name-that-somebody-has-chosen-to-break-the-layout.example.net',
  redirectHost: 'a-very-long-host-name-that-somebody-has-chosen-to-break-the-layout.example.net',
  logoUri: 'javascript:alert(1)',
  policyUri: 'javascript:alert(1)',
  verified: false,
}

const phone: SessionSummary = {
  id: '01JP4V7Q0M8Y4G6W3K2Z5T9XAB',
  name: 'Element X on Pixel 9',
  clientName: 'Element X',
  clientHost: 'element.io',
  kind: 'oauth',
  deviceId: 'QWERTYUIOP',
  createdAt: ago(40 * DAY),
  lastActiveAt: ago(20),
  lastActiveIp: '2001:db8:4c1e:9a00::17',
  current: true,
}

const sessions: SessionSummary[] = [
  phone,
  {
    id: '01JP4V7Q0M8Y4G6W3K2Z5T9XAC',
    name: 'Element Web in Firefox',
    clientName: 'Element Web',
    clientHost: 'app.element.io',
    kind: 'oauth',
    deviceId: 'ASDFGHJKLX',
    createdAt: ago(9 * DAY),
    lastActiveAt: ago(3 * HOUR),
    lastActiveIp: '192.0.2.41',
  },
  {
    id: '01JP4V7Q0M8Y4G6W3K2Z5T9XAD',
    name: 'Nheko',
    kind: 'compat',
    deviceId: 'YXCVBNMASD',
    createdAt: ago(300 * DAY),
    lastActiveAt: ago(45 * DAY),
    lastActiveIp: '198.51.100.9',
  },
  {
    id: '01JP4V7Q0M8Y4G6W3K2Z5T9XAE',
    name: 'Backup script',
    kind: 'personal',
    createdAt: ago(5 * HOUR),
  },
]

const browsers: BrowserSessionSummary[] = [
  {
    id: '01JP4V7Q0M8Y4G6W3K2Z5T9XBA',
    name: 'Firefox on Linux',
    createdAt: ago(2 * HOUR),
    lastActiveAt: ago(5),
    lastActiveIp: '192.0.2.41',
    current: true,
  },
  {
    id: '01JP4V7Q0M8Y4G6W3K2Z5T9XBB',
    name: 'Safari on iPhone',
    createdAt: ago(6 * DAY),
    lastActiveAt: ago(1 * DAY),
    lastActiveIp: '203.0.113.80',
  },
]

const frame: AccountFrame = { user: { ...alice, createdAt: ago(700 * DAY) }, passwords: true }
const accountPath = '/account'

const signIn = { form: form('/sign-in') }
const signInPath = '/sign-in'
const consent = { form: form('/consent'), user: alice }
const sso = { form: form('/sso'), user: alice, insecure: false }
const device = { id: 'QWERTYUIOP' }
const linkConfirm: PageData['link-confirm'] = {
  form: form('/link/confirm'),
  client: elementX,
  user: alice,
  device,
  scopes: ['openid', 'matrix_api'],
  userCode: 'BCDF-GHJK',
  request: { at: ago(100), ip: '192.0.2.41', userAgent: 'Element X on Pixel 9 (Android 16)' },
}
const errorPage = (
  state: string,
  status: number,
  key: 'bad_request' | 'client_mismatch' | 'expired' | 'forbidden' | 'internal' | 'not_found' | 'unavailable',
  backUrl?: string,
): Sample => ({
  state,
  page: 'error',
  path: '/authorize',
  data: {
    status,
    heading: `error_page.${key}.heading`,
    message: `error_page.${key}.message`,
    requestId: '01JP4V7Q0M8Y4G6W3K2Z5T9XEE',
    backUrl,
  },
})

/** Every page in every state that looks different, with data as it comes in life. */
export const pageSamples: readonly Sample[] = [
  { state: 'plain', page: 'sign-in', path: signInPath, data: signIn },
  {
    state: 'for an app',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, client: elementWeb, cancel: true },
  },
  {
    state: 'wrong password',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, username: 'alice', errors: { form: 'error.wrong_credentials' } },
  },
  {
    state: 'nothing entered',
    page: 'sign-in',
    path: signInPath,
    data: {
      ...signIn,
      errors: { username: 'error.username_missing', password: 'error.password_missing' },
      client: operatorsApp,
    },
  },
  {
    state: 'locked',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, username: 'alice', notice: 'locked' },
  },
  { state: 'deactivated', page: 'sign-in', path: signInPath, data: { ...signIn, notice: 'deactivated' } },
  {
    state: 'expired form',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, notice: 'expired', client: elementX },
  },
  {
    state: 'too many',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, username: 'alice', notice: 'too_many' },
  },
  {
    state: 'busy',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, username: 'alice', notice: 'busy' },
  },
  {
    state: 'new password',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, notice: 'password_changed' },
  },
  {
    state: 'again',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, client: elementWeb, notice: 'reauthenticate', reauthenticateAs: alice, cancel: true },
  },

  {
    state: 'new device',
    page: 'consent',
    path: '/consent',
    data: { ...consent, client: elementWeb, device, scopes: ['openid', 'matrix_api'] },
  },
  {
    state: 'native app, other device held',
    page: 'consent',
    path: '/consent',
    data: {
      ...consent,
      client: elementX,
      device: { ...device, replacesOtherApp: 'Cinny' },
      scopes: ['openid', 'email', 'matrix_api'],
    },
  },
  {
    state: 'operator app',
    page: 'consent',
    path: '/consent',
    data: {
      ...consent,
      client: operatorsApp,
      user: { mxid: '@bob:example.org' },
      scopes: ['openid', 'email'],
    },
  },
  {
    state: 'admin',
    page: 'consent',
    path: '/consent',
    data: {
      ...consent,
      client: {
        name: 'Synapse Admin',
        host: 'admin.example.net',
        redirectHost: 'admin.example.net',
        verified: false,
      },
      scopes: ['openid', 'synapse_admin', 'mas_admin'],
    },
  },
  {
    state: 'nameless app',
    page: 'consent',
    path: '/consent',
    data: {
      ...consent,
      client: nameless,
      device: { ...device, replacesOtherApp: true },
      scopes: ['matrix_api'],
    },
  },
  {
    state: 'deceitful app',
    page: 'consent',
    path: '/consent',
    data: { ...consent, client: deceitful, device, scopes: ['openid', 'matrix_api'] },
  },

  {
    state: 'to a web app',
    page: 'sso-consent',
    path: '/sso',
    data: { ...sso, destination: { host: 'app.element.io' } },
  },
  {
    state: 'to an app on this device',
    page: 'sso-consent',
    path: '/sso',
    data: { ...sso, destination: { scheme: 'element' } },
  },
  {
    state: 'unencrypted, to a long host name',
    page: 'sso-consent',
    path: '/sso',
    data: { ...sso, destination: { host: deceitful.redirectHost ?? '' }, insecure: true },
  },
  {
    state: 'for an app',
    page: 'choose-account',
    path: '/choose-account',
    data: { form: form('/choose-account'), user: alice, client: elementWeb },
  },

  { state: 'empty', page: 'link', path: '/link', data: { form: form('/link') } },
  {
    state: 'wrong code',
    page: 'link',
    path: '/link',
    data: { form: form('/link'), userCode: 'BCDF-GHJK', errors: { user_code: 'error.user_code_unknown' } },
  },
  {
    state: 'no code',
    page: 'link',
    path: '/link',
    data: { form: form('/link'), userCode: 'ABC', errors: { user_code: 'error.user_code_invalid' } },
  },
  { state: 'phone', page: 'link-confirm', path: '/link', data: linkConfirm },
  {
    state: 'admin, address unknown',
    page: 'link-confirm',
    path: '/link',
    data: {
      ...linkConfirm,
      client: nameless,
      device: undefined,
      scopes: ['mas_admin'],
      request: { at: ago(30) },
    },
  },
  { state: 'approved', page: 'link-done', path: '/link', data: { outcome: 'approved', client: elementX } },
  { state: 'approved, app unknown', page: 'link-done', path: '/link', data: { outcome: 'approved' } },
  { state: 'denied', page: 'link-done', path: '/link', data: { outcome: 'denied', client: elementX } },

  { state: 'own', page: 'sign-out', path: '/sign-out', data: { form: form('/sign-out'), user: alice } },
  {
    state: 'asked by an app',
    page: 'sign-out',
    path: '/oauth2/logout',
    data: { form: form('/oauth2/logout/confirm'), user: alice, client: operatorsApp },
  },
  { state: 'plain', page: 'signed-out', path: '/sign-out', data: { signInUrl: '/sign-in' } },

  errorPage('not found', 404, 'not_found'),
  errorPage('bad request', 400, 'bad_request'),
  errorPage('client mismatch', 400, 'client_mismatch'),
  errorPage('expired', 400, 'expired', '/account'),
  errorPage('forbidden', 403, 'forbidden', '/account'),
  errorPage('internal', 500, 'internal'),
  errorPage('unavailable', 503, 'unavailable'),
  {
    state: 'words from elsewhere',
    page: 'error',
    path: '/authorize',
    data: {
      status: 400,
      heading: 'error_page.bad_request.heading',
      message: { text: 'unknown client "><script>alert(1)</script>' },
    },
  },
  {
    state: 'unknown app',
    page: 'leave-to-app',
    path: '/authorize',
    data: {
      client: elementWeb,
      url: 'https://app.element.io/callback?error=invalid_scope&iss=https%3A%2F%2Fexample.org%2F',
      error: 'invalid_scope',
      description: 'requested scope is not allowed',
    },
  },
  {
    state: 'to a web app',
    page: 'form-post',
    path: '/authorize',
    data: {
      action: '/en/form-post-sent',
      fields: { code: 'sample', state: '"><img src=x onerror=alert(1)>' },
    },
  },

  {
    state: 'empty',
    page: 'first-admin',
    path: '/setup',
    data: { form: form('/setup'), serverName: 'example.org', minimumLength: 8 },
  },
  {
    state: 'errors',
    page: 'first-admin',
    path: '/setup',
    data: {
      form: form('/setup'),
      serverName: 'example.org',
      minimumLength: 8,
      username: 'Älice',
      errors: {
        username: 'error.username_invalid',
        password: { key: 'error.password_too_short', params: { minimum: 8 } },
        password_again: 'error.passwords_differ',
      },
    },
  },
  {
    state: 'taken',
    page: 'first-admin',
    path: '/setup',
    data: {
      form: form('/setup'),
      serverName: 'example.org',
      minimumLength: 8,
      username: 'alice',
      errors: {
        username: 'error.username_taken',
        password: { key: 'error.password_too_long', params: { maximum: 1024 } },
      },
    },
  },
  { state: 'used', page: 'first-admin-invalid', path: '/setup', data: {} },
  {
    state: 'admin exists',
    page: 'first-admin-invalid',
    path: '/setup',
    data: { adminExists: true, signInUrl: '/sign-in' },
  },

  {
    state: 'full',
    page: 'account',
    path: accountPath,
    data: { ...frame, sessions, browsers, csrf: 'c2FtcGxl' },
  },
  {
    state: 'first visit, password changed',
    page: 'account',
    path: accountPath,
    data: {
      user: { mxid: '@bob:example.org', createdAt: ago(30) },
      passwords: false,
      sessions: [],
      browsers: browsers.slice(0, 1),
      csrf: 'c2FtcGxl',
      notice: 'password_changed_others_ended',
    },
  },
  {
    state: 'phone',
    page: 'account-session',
    path: `${accountPath}/sessions/x`,
    data: { ...frame, session: phone, scopes: ['openid', 'matrix_api'] },
  },
  {
    state: 'never used',
    page: 'account-session',
    path: `${accountPath}/sessions/x`,
    data: { ...frame, session: sessions[3]!, scopes: [] },
  },
  {
    state: 'phone',
    page: 'account-session-end',
    path: `${accountPath}/sessions/x/end`,
    data: { ...frame, form: form(`${accountPath}/sessions/x/end`), session: phone },
  },
  {
    state: 'no device',
    page: 'account-session-end',
    path: `${accountPath}/sessions/x/end`,
    data: { ...frame, form: form(`${accountPath}/sessions/x/end`), session: sessions[3]! },
  },
  {
    state: 'empty',
    page: 'account-password',
    path: `${accountPath}/password`,
    data: { ...frame, form: form(`${accountPath}/password`), minimumLength: 8 },
  },
  {
    state: 'errors',
    page: 'account-password',
    path: `${accountPath}/password`,
    data: {
      ...frame,
      form: form(`${accountPath}/password`),
      minimumLength: 8,
      endOthers: true,
      errors: {
        current_password: 'error.password_wrong',
        new_password: 'error.password_common',
        new_password_again: 'error.passwords_differ',
      },
    },
  },
  {
    state: 'question',
    page: 'account-cross-signing-reset',
    path: `${accountPath}/cross-signing-reset`,
    data: { ...frame, form: form(`${accountPath}/cross-signing-reset`) },
  },
  {
    state: 'allowed',
    page: 'account-cross-signing-reset',
    path: `${accountPath}/cross-signing-reset`,
    data: { ...frame, form: form(`${accountPath}/cross-signing-reset`), allowedForMinutes: 10 },
  },
  {
    state: 'homeserver away',
    page: 'account-cross-signing-reset',
    path: `${accountPath}/cross-signing-reset`,
    data: { ...frame, form: form(`${accountPath}/cross-signing-reset`), problem: 'homeserver_away' },
  },
  {
    state: 'no homeserver',
    page: 'account-cross-signing-reset',
    path: `${accountPath}/cross-signing-reset`,
    data: { ...frame, form: form(`${accountPath}/cross-signing-reset`), problem: 'no_homeserver' },
  },
  {
    state: 'two to end',
    page: 'session-limit',
    path: '/session-limit',
    data: { form: form('/session-limit'), sessions, toEnd: 2 },
  },
  {
    state: 'too few',
    page: 'session-limit',
    path: '/session-limit',
    data: {
      form: form('/session-limit'),
      sessions,
      toEnd: 1,
      errors: { form: { key: 'error.too_few_sessions', params: { count: 1 } } },
    },
  },
  {
    state: 'words of a rule',
    page: 'policy-denied',
    path: '/interaction/sample',
    data: {
      form: form('/interaction/sample'),
      user: alice,
      client: elementX,
      message: { text: 'Administration works from the office only.' },
    },
  },
  {
    state: 'without words',
    page: 'policy-denied',
    path: '/interaction/sample',
    data: { form: form('/interaction/sample'), user: alice, client: nameless, message: 'policy.require_mfa' },
  },
  {
    state: 'refused by a rule',
    page: 'sign-in',
    path: signInPath,
    data: { ...signIn, username: 'alice', refused: { text: 'Passwords work from the office only.' } },
  },
  {
    state: 'for an app',
    page: 'reauthenticate',
    path: '/reauthenticate',
    data: { form: form('/reauthenticate'), user: alice, forApp: true },
  },
  {
    state: 'empty',
    page: 'reauthenticate',
    path: `${accountPath}/reauthenticate`,
    data: { form: form(`${accountPath}/reauthenticate`), user: alice },
  },
  {
    state: 'wrong',
    page: 'reauthenticate',
    path: `${accountPath}/reauthenticate`,
    data: {
      form: form(`${accountPath}/reauthenticate`),
      user: alice,
      errors: { password: { key: 'error.too_many', params: { count: 5 } } },
    },
  },
  {
    state: 'after a link',
    page: 'busy',
    path: '/authorize',
    data: { retryAfterSeconds: 5, retryUrl: '/authorize' },
  },
  { state: 'after a form', page: 'busy', path: '/sign-in', data: { retryAfterSeconds: 1 } },
  { state: 'too many', page: 'busy', path: '/sign-in', data: { retryAfterSeconds: 540, tooMany: true } },
  { state: 'all', page: '_parts', path: '/_parts', data: {} },
]
