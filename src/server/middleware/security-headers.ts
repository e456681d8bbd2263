import { randomBytes } from 'node:crypto'
import type { Context, Middleware } from 'koa'

/** What the pages' Content-Security-Policy lets forms post to, besides ourselves. */
export function allowFormActions(ctx: Context, sources: readonly string[]): void {
  ctx.set('Content-Security-Policy', policy(ctx.state.cspNonce, sources))
}

function policy(nonce: string, formActions: readonly string[] = []): string {
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

/** Strict headers on every answer, errors included (ASVS 5.0 V3.4; RFC 9700 §4.16 for frame-ancestors). */
export function securityHeaders({ secure }: { secure: boolean }): Middleware {
  return async (ctx, next) => {
    ctx.state.cspNonce = randomBytes(16).toString('base64')
    ctx.set('Content-Security-Policy', policy(ctx.state.cspNonce))
    ctx.set('X-Frame-Options', 'DENY')
    ctx.set('X-Content-Type-Options', 'nosniff')
    // `no-referrer` would make browsers send `Origin: null` with our own forms, which are checked by their origin.
    ctx.set('Referrer-Policy', 'same-origin')
    ctx.set('Cross-Origin-Opener-Policy', 'same-origin')
    if (secure) ctx.set('Strict-Transport-Security', 'max-age=31536000')
    await next()
  }
}
