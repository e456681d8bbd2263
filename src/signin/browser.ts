import type { Context } from 'koa'
import type { PublicAddress } from '../server/public-address.ts'
import type { BrowserSessions } from '../sessions/browser/browser-sessions.ts'
import type { BrowserSession } from '../sessions/browser/store.ts'
import type { User } from '../users/store.ts'

/** Browsers keep cookies for at most 400 days (RFC 6265bis); the session itself ends on the server. */
const MAX_AGE_MS = 400 * 86_400 * 1000

/** Who is signed in with this browser; the user may be locked. */
export interface Current {
  session: BrowserSession
  user: User
}

/**
 * The one cookie of a signed-in browser (ASVS 5.0 V3.3): account pages and OAuth flows share it. `__Host-` over
 * https ties it to this host and its root; over plain http, for development, browsers would refuse that name.
 */
export function createBrowser({
  browserSessions,
  address,
}: {
  browserSessions: BrowserSessions
  address: PublicAddress
}) {
  const name = address.secure ? '__Host-postern_session' : 'postern_session'
  const options = {
    httpOnly: true,
    sameSite: 'lax',
    secure: address.secure,
    path: '/',
    signed: false,
    overwrite: true,
  } as const

  /** Whoever is signed in with this request's cookie. Looked up once a request. */
  async function current(ctx: Context): Promise<Current | undefined> {
    if (!('current' in ctx.state)) {
      const cookie = ctx.cookies.get(name, { signed: false })
      ctx.state.current = cookie ? await browserSessions.find(cookie) : undefined
      if (ctx.state.current) await browserSessions.touch(ctx.state.current.session, ctx.state.ip)
    }
    return ctx.state.current
  }

  function cookie(ctx: Context): string | undefined {
    return ctx.cookies.get(name, { signed: false })
  }

  function remember(ctx: Context, value: string): void {
    ctx.cookies.set(name, value, { ...options, maxAge: MAX_AGE_MS })
    delete ctx.state.current
  }

  /** Ends this browser's session and takes its cookie away. */
  async function signOut(ctx: Context): Promise<void> {
    const found = await current(ctx)
    const { ip } = ctx.state
    if (found) await browserSessions.end(found.session.id, { actor: 'user', actorUserId: found.user.id, ip })
    ctx.cookies.set(name, null, options)
    ctx.state.current = undefined
  }

  /** What binds a form to who is signed in. */
  async function signedInAs(ctx: Context): Promise<string> {
    return (await current(ctx))?.session.id ?? ''
  }

  return { current, cookie, remember, signOut, signedInAs }
}

export type Browser = ReturnType<typeof createBrowser>
