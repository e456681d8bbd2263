/**
 * Where to go after a sign-in: a path of ours, below the public address, or the fallback. Everything that a browser
 * could take for another origin (`//evil`, `/\\evil`, `https:evil`, encoded forms of them) is not one (check 68).
 */
export function safeNext(next: string | undefined, basePath: string, fallback: string): string {
  if (!next?.startsWith(basePath) || /[\\\p{Cc}]/u.test(next)) return fallback
  const ours = URL.parse(next, 'http://ours.invalid')
  // Looked at again after `..` is resolved.
  if (ours?.origin !== 'http://ours.invalid' || !ours.pathname.startsWith(basePath)) return fallback
  if (ours.pathname.startsWith('//')) return fallback
  return /%(?:2f|5c)/i.test(ours.pathname) ? fallback : `${ours.pathname}${ours.search}`
}
