import { randomBytes } from 'node:crypto'
import type { Context, Middleware } from 'koa'

/**
 * Lets a page run its own scripts and styles, by a nonce that it gets back.
 * @param formActions where the page's forms may lead, besides ourselves
 */
export function allowPage(ctx: Context, formActions: readonly string[] = []): string {
  const nonce = randomBytes(16).toString('base64')
  ctx.set('Content-Security-Policy', policy(nonce, formActions))
  return nonce
}

function policy(nonce: string, formActions: readonly string[]): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    // Chromium holds the redirect after a form's POST against it too, so pages that lead back to an app add its address.
    `form-action ${["'self'", ...formActions].join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "object-src 'none'",
  ].join('; ')
}

/** For everything but a page. */
const NO_PAGE = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

/** Strict headers on every answer, errors included (ASVS 5.0 V3.4; RFC 9700 §4.16 for frame-ancestors). */
export function securityHeaders({ secure }: { secure: boolean }): Middleware {
  return async (ctx, next) => {
    ctx.set('Content-Security-Policy', NO_PAGE)
    ctx.set('X-Frame-Options', 'DENY')
    ctx.set('X-Content-Type-Options', 'nosniff')
    // `no-referrer` would make browsers send `Origin: null` with our own forms, which are checked by their origin.
    ctx.set('Referrer-Policy', 'same-origin')
    ctx.set('Cross-Origin-Opener-Policy', 'same-origin')
    if (secure) ctx.set('Strict-Transport-Security', 'max-age=31536000')
    await next()
  }
}
