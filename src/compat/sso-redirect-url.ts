import { isPlainHost } from '../server/pages.ts'

const MAX_LENGTH = 2048

/**
 * Schemes that make a browser run or show what the address itself carries, or open something local, in place of
 * handing the token to an app (check 68).
 */
const UNSAFE = new Set([
  'about:',
  'blob:',
  'chrome:',
  'chrome-extension:',
  'content:',
  'data:',
  'file:',
  'filesystem:',
  'ftp:',
  'intent:',
  'jar:',
  'javascript:',
  'livescript:',
  'mailto:',
  'mhtml:',
  'moz-extension:',
  'ms-browser-extension:',
  'resource:',
  'sms:',
  'tel:',
  'urn:',
  'vbscript:',
  'view-source:',
  'ws:',
  'wss:',
])

/**
 * Where an app wants its login token (`redirectUrl` of Matrix 1.18, "SSO client login"), or undefined where no token
 * must go there. Nobody registers these addresses, so the consent page names them, and this keeps out what it could
 * not name truthfully.
 */
export function parseSsoRedirectUrl(text: string | undefined): URL | undefined {
  if (text === undefined || text.length > MAX_LENGTH) return undefined
  // Browsers drop tabs and line breaks and turn backslashes around, so that "java\tscript:" would pass a look.
  if (/[\s\\\p{Cc}\p{Cf}]/u.test(text)) return undefined
  const url = URL.parse(text)
  if (!url || UNSAFE.has(url.protocol)) return undefined
  // A name and password in front of the host make it look like another.
  if (url.username !== '' || url.password !== '') return undefined
  const web = url.protocol === 'https:' || url.protocol === 'http:'
  // WHATWG parsers take "https:host" for an authority too; what people read must be what browsers do.
  if (web && !/^https?:\/\/[^/?#]/i.test(text)) return undefined
  if (web && !isPlainHost(url.hostname)) return undefined
  return url
}

/** The address with the login token in its query; the rest stays as the app gave it. */
export function withLoginToken(url: URL, token: string): string {
  const target = new URL(url)
  // One that was there already could be somebody else's, and apps take the first.
  if (target.searchParams.has('loginToken')) target.searchParams.delete('loginToken')
  target.search = target.search === '' ? `?loginToken=${token}` : `${target.search}&loginToken=${token}`
  return target.href
}
